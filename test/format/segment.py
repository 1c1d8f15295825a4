#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads segments of format version 2 by docs/formats/segment.md alone: header, footer, directory, the checksum
of every chunk, and all integers (encodings 1 and 11), whose ranges must be the directory's. Shows that the
document is enough to read a file. Usage: segment.py FILE ..."""
import ctypes
import struct
import sys

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def unzstd(data, size):
    lib = ctypes.CDLL("libzstd.so.1")
    lib.ZSTD_decompress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(size)
    got = lib.ZSTD_decompress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    assert got == size, got
    return out.raw[:size]


def signed(v):
    return (v + (1 << 63)) % (1 << 64) - (1 << 63)


class Reader:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values if len(values) > 1 else values[0]

    def align(self):
        self.at = (self.at + 7) // 8 * 8

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def svarint(self):
        v = self.varint()
        return v >> 1 ^ -(v & 1)

    def bits(self, n, width):
        size = (n * width + 7) // 8
        word = int.from_bytes(self.data[self.at:self.at + size], "little")
        self.at += size
        return [word >> i * width & (1 << width) - 1 for i in range(n)]

    def blocks(self, n):
        out, base = [], 0
        while n > len(out):
            count = min(128, n - len(out))
            head = self.take("B")
            width = head & 127
            base += self.svarint()
            low = self.bits(count, width)
            if head & 128:
                many, x = self.take("BB")
                places = [self.take("B") for _ in range(many)]
                for place, above in zip(places, self.bits(many, x & 127)):
                    low[place] += (above >> 1 ^ -(above & 1) if x & 128 else above) << width
            out += [signed(base + v) for v in low]
        return out

    def ints(self, n):
        kind = self.take("B")
        if kind == 0:
            return [self.svarint()] * n
        if kind == 1:
            return [self.take("q") for _ in range(n)]
        if kind == 2:
            return self.blocks(n)
        if kind in (3, 4):
            out = [self.svarint()]
            steps = self.blocks(n - 1) if kind == 3 else [self.svarint()]
            if kind == 4:
                for change in self.blocks(n - 2):
                    steps.append(steps[-1] + change)
            for step in steps[:n - 1]:
                out.append(signed(out[-1] + step))
            return out
        if kind == 5:
            runs = self.varint()
            values, lengths = self.ints(runs), self.ints(runs)
            return [v for v, k in zip(values, lengths) for _ in range(k)]
        if kind == 6:
            values = self.ints(self.varint())
            return [values[code] for code in self.ints(n)]
        factor = self.varint()
        return [signed(v * factor) for v in self.ints(n)]


def chunk(data, offset, stored):
    encoding, flags, rows, _, payload, crc = struct.unpack_from("<BBHIII", data, offset)
    body = data[offset + 16:offset + 16 + payload]
    assert 16 + payload <= stored and crc == crc32c(data[offset:offset + 12] + body), offset
    return encoding, flags & 3, rows, body


def present(body, presence, rows):
    """Where the values begin."""
    return [0, (rows + 63) // 64 * 8, 2 + 2 * int.from_bytes(body[:2], "little"), 0][presence]


def read_stripe(data, r, columns, seen):
    rows, granules, records, slots = r.take("IIII")
    granule = [r.take("IIqq") for _ in range(granules)]
    assert sum(g[0] for g in granule) == rows
    for _ in range(slots):
        r.take("II")
    heads = [r.take("IIQIIQIIIIQQ") for _ in range(records)]
    for column, n, dict_at, dict_bytes, _, map_at, map_bytes, _, _, _, at, _ in heads:
        for place, size in ((dict_at, dict_bytes), (map_at, map_bytes)):
            if size:
                chunk(data, place, size)
                seen["chunks"] += 1
        places = [r.take("H") for _ in range(n)] if n < granules and column != 0xFFFFFFFF else list(range(n))
        sizes, counts = [r.take("I") for _ in range(n)], [r.take("H") for _ in range(n)]
        encodings, flags = [r.take("B") for _ in range(n)], [r.take("B") for _ in range(n)]
        low = {k: r.take("q") for k in range(n) if flags[k]}
        high = {k: r.take("q") for k in range(n) if flags[k]}
        for k in range(n):
            encoding, presence, _, body = chunk(data, at, sizes[k])
            seen["chunks"] += 1
            at += (sizes[k] + 7) // 8 * 8
            assert encoding == encodings[k]
            if column >= len(columns) or columns[column][0] not in (1, 3) or encoding not in (1, 11):
                continue
            values = Reader(body, present(body, presence, granule[places[k]][0]))
            got = [values.take("q")] if encoding == 1 else values.ints(counts[k])
            assert encoding == 1 or values.at == len(body)
            assert not flags[k] or (min(got), max(got)) == (low[k], high[k]), columns[column]
            seen["integers"] += len(got)
            if columns[column][1] == b"timestamp":
                assert (min(got), max(got)) == granule[places[k]][2:4]
    r.align()
    return rows


def read_segment(path):
    data = open(path, "rb").read()
    assert data[:4] == b"YGSG" and crc32c(data[:60]) == struct.unpack_from("<I", data, 60)[0]
    version = struct.unpack_from("<H", data, 4)[0]
    foot = data[-64:]
    assert foot[60:] == b"YGSG" and crc32c(foot[:56]) == struct.unpack_from("<I", foot, 56)[0]
    at, size, _, rows = struct.unpack_from("<QIIQ", foot)
    raw, packed = struct.unpack_from("<II", data, at)
    directory = data[at + 8:at + size]
    r = Reader(unzstd(directory, raw) if packed else directory)
    count, stripes = r.take("II")
    columns, seen = [], {"version": version, "rows": rows, "chunks": 0, "integers": 0}
    for _ in range(count):
        kind, length = r.take("II")
        columns.append((kind, r.data[r.at:r.at + length]))
        r.at += length
        r.align()
    assert columns == sorted(columns, key=lambda c: (c[1], c[0])) and version == 2
    assert sum(read_stripe(data, r, columns, seen) for _ in range(stripes)) == rows
    print(path, seen)
    assert seen["integers"] > 0


for name in sys.argv[1:]:
    read_segment(name)
