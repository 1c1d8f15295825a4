// SPDX-License-Identifier: Apache-2.0
// Decoder of the binary trace block (docs/api.md, GET Y/traces/:id). Columns are views into the answer; nothing is copied per span.

export const FLAG = {
  error: 1,
  cold: 2,
  inferred: 4,
  async: 8,
  critical: 16,
  logs: 32,
  profile: 64,
  attack: 128,
  db: 256,
  external: 512,
  folded: 1024,
  events: 2048,
  links: 4096,
} as const;
export const BLOCK = { partial: 1, missing: 2, skew: 4 } as const;

export interface ServiceSum {
  name: string;
  spans: number;
  errors: number;
  self_ns: number;
}
export interface Tail {
  env?: string;
  types: string[];
  services: ServiceSum[];
  insights?: unknown[];
}

export interface TraceBlock {
  flags: number;
  n: number;
  nTotal: number;
  baseNs: bigint;
  traceId: string;
  startOff: Float64Array;
  dur: Float64Array;
  spanId: BigUint64Array;
  parent: Int32Array;
  endOf: Uint32Array;
  name: Uint32Array;
  resource: Uint32Array;
  service: Uint16Array;
  depth: Uint16Array;
  flag: Uint16Array;
  type: Uint8Array;
  str: (i: number) => string;
  tail: Tail;
  bytes: number;
}

export class BlockError extends Error {}

const HEADER = 64;
const align8 = (n: number): number => (n + 7) & ~7;

/** Reads a block; throws BlockError with the byte offset when it is not one. */
export function decodeTrace(buf: ArrayBuffer): TraceBlock {
  const bad = (what: string, at: number): never => {
    throw new BlockError(`${what} at byte ${at}`);
  };
  if (buf.byteLength < HEADER) bad('block shorter than its header', buf.byteLength);
  const v = new DataView(buf);
  if (v.getUint32(0, false) !== 0x59475431) bad('not a trace block', 0);
  const version = v.getUint16(4, true);
  if (version !== 1) bad(`version ${version} is not known`, 4);
  const n = v.getUint32(8, true);
  const m = v.getUint32(16, true);
  const strBytes = v.getUint32(20, true);
  const jsonBytes = v.getUint32(48, true);
  const total = v.getUint32(52, true);
  if (total !== buf.byteLength) bad(`length ${total} in the header, ${buf.byteLength} received`, 52);
  if (n > 1_000_000) bad(`${n} spans`, 8);

  let at = HEADER;
  const take = (size: number): number => {
    at = align8(at);
    const start = at;
    at += size;
    if (at > total) bad('block ends inside a column', start);
    return start;
  };
  const startOff = new Float64Array(buf, take(8 * n), n);
  const dur = new Float64Array(buf, take(8 * n), n);
  const spanId = new BigUint64Array(buf, take(8 * n), n);
  const parent = new Int32Array(buf, take(4 * n), n);
  const endOf = new Uint32Array(buf, take(4 * n), n);
  const name = new Uint32Array(buf, take(4 * n), n);
  const resource = new Uint32Array(buf, take(4 * n), n);
  const service = new Uint16Array(buf, take(2 * n), n);
  const depth = new Uint16Array(buf, take(2 * n), n);
  const flag = new Uint16Array(buf, take(2 * n), n);
  const type = new Uint8Array(buf, take(n), n);
  const offs = new Uint32Array(buf, take(4 * (m + 1)), m + 1);
  const strAt = at;
  at += strBytes;
  if (at > total) bad('block ends inside the strings', strAt);
  if ((offs[m] ?? 0) > strBytes) bad('string offset beyond the strings', strAt);
  const jsonAt = take(jsonBytes);

  const text = new TextDecoder();
  const memo = new Map<number, string>();
  const str = (i: number): string => {
    let s = memo.get(i);
    if (s === undefined) {
      if (i >= m) return '';
      const a = offs[i] as number,
        b = offs[i + 1] as number;
      s = b > a && b <= strBytes ? text.decode(new Uint8Array(buf, strAt + a, b - a)) : '';
      memo.set(i, s);
    }
    return s;
  };
  let tail: Tail;
  try {
    tail = JSON.parse(text.decode(new Uint8Array(buf, jsonAt, jsonBytes)) || '{}') as Tail;
  } catch {
    return bad('JSON tail is broken', jsonAt);
  }
  tail.types ??= [];
  tail.services ??= [];
  const id = Array.from(new Uint8Array(buf, 32, 16), (b) => b.toString(16).padStart(2, '0')).join('');
  checkTree(n, parent, endOf, bad);
  return {
    flags: v.getUint16(6, true),
    n,
    nTotal: v.getUint32(12, true),
    baseNs: v.getBigUint64(24, true),
    traceId: id,
    startOff,
    dur,
    spanId,
    parent,
    endOf,
    name,
    resource,
    service,
    depth,
    flag,
    type,
    str,
    tail,
    bytes: total,
  };
}

/** Rows must be in depth-first order, or every walk over them would go wrong. */
function checkTree(n: number, parent: Int32Array, endOf: Uint32Array, bad: (what: string, at: number) => never): void {
  for (let i = 0; i < n; i++) {
    const p = parent[i] as number,
      e = endOf[i] as number;
    if (p >= i || p < -2) bad(`row ${i} has parent ${p}`, HEADER);
    if (e <= i || e > n) bad(`row ${i} ends at row ${e}`, HEADER);
    if (p >= 0 && e > (endOf[p] as number)) bad(`row ${i} ends after its parent`, HEADER);
  }
}

export function hexId(id: bigint): string {
  return id.toString(16).padStart(16, '0');
}
