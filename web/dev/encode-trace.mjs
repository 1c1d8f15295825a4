// SPDX-License-Identifier: Apache-2.0
// Encoder of the trace block for the development server and the tests (docs/api.md); the real one is the server's.

/** Orders spans depth first and works out parents, ends of subtrees and services by self time. */
function order(spans) {
  const byId = new Map(spans.map((s) => [s.id, s]));
  const kids = new Map();
  const roots = [];
  for (const s of spans) {
    if (s.parent && byId.has(s.parent)) kids.set(s.parent, [...(kids.get(s.parent) ?? []), s]);
    else roots.push(s);
  }
  const cmp = (a, b) => a.start - b.start || (a.id < b.id ? -1 : 1);
  const rows = [];
  const walk = (s, parent, depth) => {
    const i = rows.length;
    rows.push({ s, parent, depth, end: 0 });
    for (const k of (kids.get(s.id) ?? []).sort(cmp)) walk(k, i, depth + 1);
    rows[i].end = rows.length;
  };
  for (const r of roots.sort((a, b) => (a.parent ? 1 : 0) - (b.parent ? 1 : 0) || cmp(a, b)))
    walk(r, r.parent ? -2 : -1, 0);
  return rows;
}

function selfTimes(rows) {
  const sums = new Map();
  rows.forEach((r, i) => {
    let covered = 0;
    for (let c = i + 1; c < r.end; c = rows[c].end) covered += rows[c].s.dur;
    const x = sums.get(r.s.service) ?? { name: r.s.service, spans: 0, errors: 0, self_ns: 0 };
    x.spans++;
    x.errors += (r.s.flags ?? 0) & 1;
    x.self_ns += Math.max(0, r.s.dur - covered);
    sums.set(r.s.service, x);
  });
  return [...sums.values()].sort((a, b) => b.self_ns - a.self_ns || (a.name < b.name ? -1 : 1));
}

export function encodeTrace(traceId, baseNs, spans, env = 'prod') {
  const rows = order(spans);
  const n = rows.length;
  const services = selfTimes(rows);
  const strings = [];
  const index = new Map();
  const intern = (t) => {
    if (!index.has(t)) index.set(t, strings.push(t) - 1);
    return index.get(t);
  };
  services.forEach((s) => intern(s.name));
  const types = [''];
  const typeOf = (t) => (types.includes(t) ? types.indexOf(t) : types.push(t) - 1);
  for (const r of rows) {
    intern(r.s.name);
    intern(r.s.resource);
    typeOf(r.s.type ?? '');
  }
  const utf8 = strings.map((s) => Buffer.from(s, 'utf8'));
  const strBytes = utf8.reduce((a, b) => a + b.length, 0);
  const json = Buffer.from(JSON.stringify({ env, types, services, insights: [] }));

  const sizes = [8, 8, 8, 4, 4, 4, 4, 2, 2, 2, 1];
  let at = 64;
  const place = (bytes) => {
    at = (at + 7) & ~7;
    const p = at;
    at += bytes;
    return p;
  };
  const cols = sizes.map((s) => place(s * n));
  const offsAt = place(4 * (strings.length + 1));
  const strAt = at;
  at += strBytes;
  const jsonAt = place(json.length);
  const buf = new ArrayBuffer(at);
  const v = new DataView(buf);
  const u8 = new Uint8Array(buf);
  u8.set(Buffer.from('YGT1'), 0);
  v.setUint16(4, 1, true);
  v.setUint16(6, rows.some((r) => r.parent === -2) ? 2 : 0, true);
  v.setUint32(8, n, true);
  v.setUint32(12, n, true);
  v.setUint32(16, strings.length, true);
  v.setUint32(20, strBytes, true);
  v.setBigUint64(24, BigInt(baseNs), true);
  u8.set(Buffer.from(traceId, 'hex'), 32);
  v.setUint32(48, json.length, true);
  v.setUint32(52, at, true);
  rows.forEach((r, i) => {
    v.setFloat64(cols[0] + 8 * i, r.s.start, true);
    v.setFloat64(cols[1] + 8 * i, r.s.dur, true);
    v.setBigUint64(cols[2] + 8 * i, BigInt(r.s.id), true);
    v.setInt32(cols[3] + 4 * i, r.parent, true);
    v.setUint32(cols[4] + 4 * i, r.end, true);
    v.setUint32(cols[5] + 4 * i, intern(r.s.name), true);
    v.setUint32(cols[6] + 4 * i, intern(r.s.resource), true);
    v.setUint16(cols[7] + 2 * i, intern(r.s.service), true);
    v.setUint16(cols[8] + 2 * i, r.depth, true);
    v.setUint16(cols[9] + 2 * i, r.s.flags ?? 0, true);
    u8[cols[10] + i] = typeOf(r.s.type ?? '');
  });
  let off = 0;
  utf8.forEach((b, i) => {
    v.setUint32(offsAt + 4 * i, off, true);
    u8.set(b, strAt + off);
    off += b.length;
  });
  v.setUint32(offsAt + 4 * strings.length, off, true);
  u8.set(json, jsonAt);
  return buf;
}
