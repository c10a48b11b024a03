"""Types of tags: TIFF's own, which of them the standard gives each tag, and which tags are not for users to write.

From TIFF 6.0 (section 2; the tags' own sections; Appendix A), Adobe's supplements 1 and 2, TIFF/FX (RFC 2301), BigTIFF,
GeoTIFF 1.1, and for other programs' tags from libtiff's tif_dirinfo.c and what those programs write.
"""

BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG, SRATIONAL, FLOAT, DOUBLE, IFD = range(1, 14)
LONG8, SLONG8, IFD8 = 16, 17, 18  # BigTIFF's

TYPES = {
    "BYTE": BYTE,
    "ASCII": ASCII,
    "SHORT": SHORT,
    "LONG": LONG,
    "RATIONAL": RATIONAL,
    "SBYTE": SBYTE,
    "UNDEFINED": UNDEFINED,
    "SSHORT": SSHORT,
    "SLONG": SLONG,
    "SRATIONAL": SRATIONAL,
    "FLOAT": FLOAT,
    "DOUBLE": DOUBLE,
    "IFD": IFD,
    "LONG8": LONG8,
    "SLONG8": SLONG8,
    "IFD8": IFD8,
}
TYPE_NAMES = {number: name for name, number in TYPES.items()}

FRACTIONS = (RATIONAL, SRATIONAL)
# As NumPy sees them; a fraction is two numbers.
DTYPES = {
    BYTE: "u1",
    ASCII: "u1",
    SHORT: "u2",
    LONG: "u4",
    RATIONAL: "u4",
    SBYTE: "i1",
    UNDEFINED: "u1",
    SSHORT: "i2",
    SLONG: "i4",
    SRATIONAL: "i4",
    FLOAT: "f4",
    DOUBLE: "f8",
    IFD: "u4",
    LONG8: "u8",
    SLONG8: "i8",
    IFD8: "u8",
}

# Types that a tag may have, the one to be preferred first, and how many values it has; 0: any number.
_TEXT, _SHORT, _SHORTS, _FRACTION = ((ASCII,), 0), ((SHORT,), 1), ((SHORT,), 0), ((RATIONAL,), 1)
_LIKE_SAMPLES = ((BYTE, SHORT, LONG, SBYTE, SSHORT, SLONG, DOUBLE, FLOAT), 0)
STANDARD: dict[int, tuple[tuple[int, ...], int]] = {
    254: ((LONG,), 1),  # NewSubfileType
    255: _SHORT,  # SubfileType
    263: _SHORT,  # Threshholding
    264: _SHORT,  # CellWidth
    265: _SHORT,  # CellLength
    269: _TEXT,  # DocumentName
    270: _TEXT,  # ImageDescription
    271: _TEXT,  # Make
    272: _TEXT,  # Model
    274: _SHORT,  # Orientation
    280: _SHORTS,  # MinSampleValue
    281: _SHORTS,  # MaxSampleValue
    282: _FRACTION,  # XResolution
    283: _FRACTION,  # YResolution
    285: _TEXT,  # PageName
    286: _FRACTION,  # XPosition
    287: _FRACTION,  # YPosition
    290: _SHORT,  # GrayResponseUnit
    291: _SHORTS,  # GrayResponseCurve
    296: _SHORT,  # ResolutionUnit
    297: ((SHORT,), 2),  # PageNumber
    301: _SHORTS,  # TransferFunction
    305: _TEXT,  # Software
    306: ((ASCII,), 20),  # DateTime
    315: _TEXT,  # Artist
    316: _TEXT,  # HostComputer
    318: ((RATIONAL,), 2),  # WhitePoint
    319: ((RATIONAL,), 6),  # PrimaryChromaticities
    320: _SHORTS,  # ColorMap
    321: ((SHORT,), 2),  # HalftoneHints
    326: ((SHORT, LONG), 1),  # BadFaxLines
    327: _SHORT,  # CleanFaxData
    328: ((SHORT, LONG), 1),  # ConsecutiveBadFaxLines
    332: _SHORT,  # InkSet
    333: _TEXT,  # InkNames
    334: _SHORT,  # NumberOfInks
    336: ((BYTE, SHORT), 0),  # DotRange
    337: _TEXT,  # TargetPrinter
    340: _LIKE_SAMPLES,  # SMinSampleValue
    341: _LIKE_SAMPLES,  # SMaxSampleValue
    342: ((SHORT,), 6),  # TransferRange
    343: ((BYTE,), 0),  # ClipPath
    344: ((LONG,), 1),  # XClipPathUnits
    345: ((LONG,), 1),  # YClipPathUnits
    346: _SHORT,  # Indexed
    351: _SHORT,  # OPIProxy
    401: ((BYTE,), 1),  # ProfileType
    402: ((BYTE,), 1),  # FaxProfile
    403: ((LONG,), 1),  # CodingMethods
    404: ((BYTE,), 4),  # VersionYear
    405: ((BYTE,), 1),  # ModeNumber
    433: ((SRATIONAL,), 0),  # Decode
    700: ((BYTE, UNDEFINED), 0),  # XMP
    32781: _TEXT,  # ImageID
    33300: ((LONG,), 1),  # ImageFullWidth
    33301: ((LONG,), 1),  # ImageFullLength
    33302: _TEXT,  # TextureFormat
    33303: _TEXT,  # TextureWrapModes
    33432: _TEXT,  # Copyright
    33434: ((RATIONAL,), 0),  # ExposureTime: one, or in TIFF/EP several
    33437: ((RATIONAL,), 0),  # FNumber: the same
    33550: ((DOUBLE,), 3),  # ModelPixelScale
    33723: ((UNDEFINED, BYTE, LONG), 0),  # IPTC
    33922: ((DOUBLE,), 0),  # ModelTiepoint
    34264: ((DOUBLE,), 16),  # ModelTransformation
    34377: ((BYTE, UNDEFINED), 0),  # Photoshop
    34675: ((UNDEFINED,), 0),  # ICCProfile
    34735: _SHORTS,  # GeoKeyDirectory
    34736: ((DOUBLE,), 0),  # GeoDoubleParams
    34737: _TEXT,  # GeoAsciiParams
    36864: ((UNDEFINED,), 4),  # ExifVersion
    37724: ((UNDEFINED,), 0),  # ImageSourceData
    42112: _TEXT,  # GDAL_METADATA
    42113: _TEXT,  # GDAL_NODATA
    50706: ((BYTE,), 4),  # DNGVersion
    50838: ((LONG,), 0),  # ImageJMetadataByteCounts
    50839: ((BYTE,), 0),  # ImageJMetadata
    51123: _TEXT,  # MicroManagerMetadata
}

_SHAPE, _DTYPE, _CHUNKS = "the shape of the pages sets it", "the dtype sets it", "chunk_shape= sets it"
_CODEC, _PLACE = "compression= sets it", "it says where in the file something is, which only the writer knows"
_COLOUR, _OLD = "photometric= sets it", "it is an obsolete way to say how pixels are stored"
_FOREIGN = "with it other programs take the file for one of another structure"
# Tags that say how pixels are stored or where in the file something is: what sets them instead.
RESERVED = {
    256: _SHAPE,
    257: _SHAPE,
    258: _DTYPE,
    259: _CODEC,
    262: _COLOUR,
    266: "bits are always stored in the usual order",
    273: _PLACE,
    277: _SHAPE,
    278: _CHUNKS,
    279: _PLACE,
    284: "samples of a pixel are always stored together",
    288: _PLACE,
    289: _PLACE,
    292: _CODEC,
    293: _CODEC,
    317: "predictor= sets it",
    322: _CHUNKS,
    323: _CHUNKS,
    324: _PLACE,
    325: _PLACE,
    330: _PLACE,
    338: "the shape of the pages and photometric= set it",
    339: _DTYPE,
    347: _CODEC,
    400: _PLACE,
    **dict.fromkeys(range(512, 522), _CODEC),
    **dict.fromkeys(range(529, 533), _COLOUR),
    559: _CHUNKS,
    **dict.fromkeys(range(32995, 32999), _OLD),
    **dict.fromkeys(range(33628, 33632), _FOREIGN),
    34665: _PLACE,
    34853: _PLACE,
    40965: _PLACE,
    50674: _CODEC,
    65420: _FOREIGN,
}
