# SPDX-License-Identifier: Apache-2.0
"""Just enough protobuf to write a MetricPayload (agent-payload proto/metrics/agent_payload.proto)."""
import struct


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def series(metric, kind, points, tags=(), host="", interval=0, unit=""):
    """One MetricSeries; kind 1 count, 2 rate, 3 gauge."""
    out = field(1, field(1, "host") + field(2, host)) if host else b""
    out += field(2, metric) + b"".join(field(3, t) for t in tags)
    out += b"".join(field(4, field(1, float(value)) + field(2, ts)) for ts, value in points)
    out += field(5, kind)
    out += field(6, unit) if unit else b""
    return field(1, out + (field(8, interval) if interval else b""))
