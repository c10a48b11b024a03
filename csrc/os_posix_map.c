/* Memory that stands for a file, and the signal of touching what the file does not have. */
#ifndef _WIN32

#include "os_posix.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

enum lzt_status lzt_memory_map(struct lzt_file *file, enum lzt_map_mode mode, uint64_t length, uint8_t **address,
                               struct lzt_error *error)
{
    const int protection = mode == LZT_MAP_READ ? PROT_READ : PROT_READ | PROT_WRITE;
    /* A private map of a file larger than all memory is fine as long as little of it is changed. */
    const int flags = mode == LZT_MAP_COPY ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
    *address = NULL;
    if ((size_t)length != length)
        return lzt_fail_system(error, ENOMEM, "the file is larger than the addresses of this process");
    void *map = mmap(NULL, (size_t)length, protection, flags, file->descriptor, 0);
    if (map != MAP_FAILED) {
        *address = map;
        return LZT_OK;
    }
    if (errno == ENODEV)
        return lzt_fail(error, LZT_NOT_MAPPABLE, "its file system does not map files");
    return lzt_fail_system(error, errno, "cannot map the file");
}

void lzt_memory_unmap(uint8_t *address, uint64_t length)
{
    munmap(address, (size_t)length);
}

enum lzt_status lzt_memory_sync(struct lzt_file *file, uint8_t *address, uint64_t length, struct lzt_error *error)
{
    if (msync(address, (size_t)length, MS_SYNC) != 0)
        return lzt_fail_system(error, errno, "cannot write what was changed to the disk");
    return lzt_file_sync(file, error);
}

size_t lzt_memory_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int lzt_memory_blank(uint8_t *address, uint64_t length, int writable)
{
    const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    return mmap(address, (size_t)length, protection, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

/* ---- Faults --------------------------------------------------------------------------------------------------------------- */

/* Belongs to the registry of guarded maps (map.c), but only this file knows what a handler is. */
static struct {
    struct sigaction before; /* what was there when ours came */
    _Atomic(lzt_mend) mend;
    atomic_int installed;
    atomic_int raised; /* a SIGBUS that this process sent to itself was let pass, and no fault came since */
} faults;

/* Python's faulthandler, when it was enabled after us, is called first. It prints its report, puts our handler back, and sends the signal
 * again: without an address. To return is right then, because the touch is tried again and comes here as a fault. A second one without a
 * fault in between is meant. */
static int was_passed_on(const siginfo_t *info)
{
    return info->si_pid == getpid() && faults.mend(NULL) && !atomic_exchange(&faults.raised, 1);
}

static int is_fault(const siginfo_t *info)
{
    return info->si_code != SI_USER && info->si_code != SI_QUEUE
#ifdef SI_TKILL
           && info->si_code != SI_TKILL
#endif
        ;
}

static int has_handler(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN; /* with SA_SIGINFO too: both members are in one place */
}

/* Leave the signal to whoever would have got it without us. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    if (has_handler(&faults.before) && (faults.before.sa_flags & SA_SIGINFO)) {
        faults.before.sa_sigaction(number, info, context);
    } else if (has_handler(&faults.before)) {
        faults.before.sa_handler(number);
    } else if (faults.before.sa_handler == SIG_DFL || is_fault(info)) { /* nobody can ignore a fault */
        const struct sigaction standard = {.sa_handler = SIG_DFL};
        sigaction(number, &standard, NULL);
        if (!is_fault(info))
            raise(number); /* delivered when this handler returns */
    }
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const int kept = errno;
    int mended;
    if (is_fault(info)) {
        atomic_store(&faults.raised, 0);
        mended = info->si_addr != NULL && faults.mend(info->si_addr); /* NULL: no page's fault, as of a wild pointer to the stack */
    } else {
        mended = was_passed_on(info);
    }
    if (!mended)
        pass_on(number, info, context);
    errno = kept;
}

enum lzt_status lzt_faults_catch(lzt_mend mend, struct lzt_error *error)
{
    /* On the stack for signals, where the thread has one. */
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK}, now;
    if (sigaction(SIGBUS, NULL, &now) != 0)
        return lzt_fail_system(error, errno, "cannot install the page-fault guard");
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_bus_error)
        return LZT_OK;
    /* A handler that came after ours passes on to it; one from before that has gone has taken ours along. */
    if (faults.installed && has_handler(&now))
        return LZT_OK;
    sigemptyset(&action.sa_mask);
    /* System calls go on after a sent signal where they did before. */
    if (!has_handler(&now) || (now.sa_flags & SA_RESTART))
        action.sa_flags |= SA_RESTART;
    faults.before = now;
    faults.mend = mend;
    if (sigaction(SIGBUS, &action, NULL) != 0)
        return lzt_fail_system(error, errno, "cannot install the page-fault guard");
    faults.installed = 1;
    return LZT_OK;
}

#endif
