def read(read, size, *, big_endian):
    return None


def merged(parts):
    return None


class MicroManager:
    pass
