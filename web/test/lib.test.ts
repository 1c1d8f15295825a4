// SPDX-License-Identifier: Apache-2.0
// URL state, times over zones, numbers, colour slots, trace block and waterfall.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { countParts, fmtDelta, fmtDur, pctDigits, sig3 } from '../src/lib/format';
import { assignSlots, hash32 } from '../src/lib/slots';
import { fmtClock, fmtDate, fromWall, parseBound, parseTyped, setZone, wall } from '../src/lib/time';
import { BlockError, decodeTrace } from '../src/lib/traceblock';
import { canonical, formatLoc, formatSearch, linkTo, parseSearch, withParams } from '../src/lib/url';
import { analyse, axisTicks, visibleRows } from '../src/lib/waterfall';
import { encodeTrace, type SpanIn } from '../dev/encode-trace.mjs';

declare const WEB_DIR: string;

test('equal views are equal strings, defaults are left out, unknown keys are kept', () => {
  const p = parseSearch('?to=now&q=service%3Aa+%22b+c%22&from=now-1h&zz=1&env=prod');
  assert.equal(formatSearch(p), '?env=prod&q=service:a+%22b+c%22&zz=1');
  assert.deepEqual(parseSearch(formatSearch(p)), { q: 'service:a "b c"', zz: '1', env: 'prod' });
  for (const q of ['a&b=c#d', '100%', 'サービス：注文', 'a+b', '=x{y}', '@http.status_code:>=500']) {
    assert.equal(parseSearch(formatSearch({ q })).q, q);
  }
  assert.equal(parseSearch('?q=1&q=2').q, '1');
});

test('aliases of paths and keys', () => {
  assert.equal(
    formatLoc(
      canonical({
        path: '/apm/traces',
        params: { query: 'service:a', from_ts: '1770095400000', to_ts: '1770099000000' },
      }),
    ),
    '/traces?from=1770095400000&q=service:a&to=1770099000000',
  );
  assert.equal(canonical({ path: '/apm/trace/64c1', params: {} }).path, '/trace/64c1');
  assert.deepEqual(canonical({ path: '/services/orders-api', params: { env: 'prod' } }), {
    path: '/traces',
    params: { env: 'prod', q: 'service:orders-api' },
  });
  assert.equal(canonical({ path: '/monitors/manage', params: {} }).path, '/monitors');
  assert.equal(canonical({ path: '/logs/', params: { query: 'x', q: 'kept' } }).params.q, 'kept');
});

test('links carry the scope and drop page keys', () => {
  const here = { env: 'prod', from: 'now-4h', q: 'x', sel: '3', lang: 'ja' };
  assert.deepEqual(linkTo(here, '/logs', { q: 'y' }), {
    path: '/logs',
    params: { env: 'prod', from: 'now-4h', lang: 'ja', q: 'y' },
  });
  assert.deepEqual(withParams(here, { sel: null, q: '' }), { env: 'prod', from: 'now-4h', lang: 'ja' });
});

test('wall clocks over DST', () => {
  for (const tz of ['Asia/Tokyo', 'Europe/London', 'America/New_York', 'UTC']) {
    for (const t of [
      Date.UTC(2026, 1, 3, 5, 2),
      Date.UTC(2026, 6, 1, 23, 59, 59, 999),
      Date.UTC(2026, 2, 8, 12),
      Date.UTC(2026, 9, 25, 12),
    ]) {
      assert.equal(fromWall(wall(t, tz), tz), t, `${tz} ${t}`);
    }
  }
  // 02:30 does not exist in New York on 8 March 2026; 01:30 happens twice in London on 25 October
  const gap = fromWall({ y: 2026, mo: 3, d: 8, h: 2, mi: 30, s: 0, ms: 0 }, 'America/New_York');
  assert.ok(Math.abs(gap - Date.UTC(2026, 2, 8, 7, 0)) <= 36e5);
  const twice = fromWall({ y: 2026, mo: 10, d: 25, h: 1, mi: 30, s: 0, ms: 0 }, 'Europe/London');
  assert.equal(wall(twice, 'Europe/London').h, 1);
});

test('typed times', () => {
  setZone('Asia/Tokyo', 'ja');
  const now = Date.UTC(2026, 1, 3, 6, 2); // 15:02 JST
  const abs = (s: string): string[] => {
    const b = parseTyped(s, now);
    return b ? [b.from, b.to] : [];
  };
  assert.deepEqual(abs('5m'), ['now-5m', 'now']);
  assert.deepEqual(abs('過去2時間'), ['now-2h', 'now']);
  assert.deepEqual(abs('５分'), ['now-5m', 'now']);
  assert.deepEqual(abs('now-1w'), ['now-1w', 'now']);
  assert.deepEqual(abs('今日'), [String(Date.UTC(2026, 1, 2, 15)), 'now']);
  assert.deepEqual(abs('yesterday'), [String(Date.UTC(2026, 1, 1, 15)), String(Date.UTC(2026, 1, 2, 15))]);
  assert.deepEqual(abs('3:00-3:30'), [String(Date.UTC(2026, 1, 2, 18)), String(Date.UTC(2026, 1, 2, 18, 30))]);
  assert.deepEqual(abs('23:00-23:30'), [String(Date.UTC(2026, 1, 2, 14)), String(Date.UTC(2026, 1, 2, 14, 30))]);
  assert.deepEqual(abs('2026-02-03 03:00 - 2026-02-03 04:00').length, 0, 'blank inside a bound is not a range');
  assert.deepEqual(abs('2026-02-03T03:00 - 2026-02-03T04:00'), [
    String(Date.UTC(2026, 1, 2, 18)),
    String(Date.UTC(2026, 1, 2, 19)),
  ]);
  assert.deepEqual(abs('1770095400000'), ['1770095400000', 'now']);
  for (const bad of ['', 'x', '25 bananas', '99:99', 'tomorrow']) assert.deepEqual(abs(bad), [], bad);
  assert.equal(parseBound('2026-02-03T03:00:00+09:00', now), Date.UTC(2026, 1, 2, 18));
  assert.equal(fmtDate(now), '2026-02-03(火)');
  assert.equal(fmtClock(now + 7204, 'ms'), '15:02:07.204');
});

test('numbers have three digits', () => {
  assert.deepEqual([4.81e9, 655e6, 12e3, 999.6e6, 14.2e9, 3600e9, 0].map(fmtDur), [
    '4.81 s',
    '655 ms',
    '12 µs',
    '1.00 s',
    '14.2 s',
    '60 min',
    '0 ms',
  ]);
  assert.deepEqual(
    [9120, 18440, 41_200_000].map((n) => Object.values(countParts(n)).join(' ')),
    ['9,120 ', '18.4 k', '41.2 M'],
  );
  assert.equal(sig3(0.0123456), '0.0123');
  assert.equal(sig3(1234.5), '1,235');
  assert.equal(pctDigits(0.0008), '0.08');
  assert.equal(fmtDelta(3.1, 1)?.text, '×3.1');
  assert.equal(fmtDelta(0.94, 1)?.text, '−6 %');
  assert.equal(fmtDelta(1, 0), null);
});

test('slots: nine services, one grey; the same for all viewers', () => {
  const names = ['search', 'orders', 'payment', 'catalog', 'identity', 'media', 'notify', 'booking', 'partner'];
  const a = assignSlots(names);
  assert.equal(new Set([...a.values()].filter(Boolean)).size, 8);
  assert.equal(a.get('partner'), 0);
  assert.equal(a.get('search'), (hash32('search') % 8) + 1);
  assert.deepEqual(a, assignSlots([...names, 'search']));
});

function sample(): SpanIn[] {
  const spans: SpanIn[] = [
    { id: 1n, parent: 0n, service: 'gw', name: 'http', resource: 'GET /', start: 0, dur: 3.4e9, type: 'web' },
    {
      id: 2n,
      parent: 1n,
      service: 'fn',
      name: 'aws.lambda',
      resource: 'fn',
      start: 1.84e9,
      dur: 1.5e9,
      type: 'serverless',
      flags: 2,
    },
    { id: 99n, parent: 77n, service: 'lost', name: 'x', resource: 'y', start: 1e9, dur: 1e6, type: '' },
  ];
  for (let i = 0; i < 12; i++) {
    spans.push({
      id: BigInt(10 + i),
      parent: 2n,
      service: 'db',
      name: 'getItem',
      resource: 'Orders',
      start: 1.9e9 + i * 5e6,
      dur: 4e6,
      type: 'db',
      flags: i === 3 ? 257 : 256,
    });
  }
  return spans;
}

test('trace block: decode what the encoder wrote', () => {
  const t = decodeTrace(encodeTrace('0123456789abcdef0123456789abcdef', 1770095022118000000n, sample()));
  assert.equal(t.n, 15);
  assert.equal(t.traceId, '0123456789abcdef0123456789abcdef');
  assert.equal(t.baseNs, 1770095022118000000n);
  assert.equal(t.str(t.service[0] as number), 'gw');
  assert.equal(t.str(t.resource[1] as number), 'fn');
  assert.equal(t.parent[1], 0);
  assert.equal(t.parent[14], -2);
  assert.equal(t.endOf[0], 14);
  assert.equal(t.tail.services.length, 4);
  assert.equal(t.flags & 2, 2);
});

test('trace block: every kind of damage is refused with its place', () => {
  const good = encodeTrace('0123456789abcdef0123456789abcdef', 1n, sample());
  assert.throws(() => decodeTrace(good.slice(0, 40)), BlockError);
  assert.throws(() => decodeTrace(good.slice(0, good.byteLength - 1)), /at byte 52/);
  for (const [at, v] of [
    [0, 0],
    [4, 9],
    [8, 255],
  ] as const) {
    const b = good.slice(0);
    new DataView(b).setUint8(at, v);
    assert.throws(() => decodeTrace(b), BlockError, `byte ${at}`);
  }
  const loop = good.slice(0);
  new DataView(loop).setInt32(64 + 15 * 24 + 4, 5, true); // row 1 says its parent is row 5
  assert.throws(() => decodeTrace(loop), /row 1 has parent 5/);
});

test('waterfall: group, gap, errors, critical path', () => {
  const t = decodeTrace(encodeTrace('0123456789abcdef0123456789abcdef', 1n, sample()));
  const a = analyse(t);
  assert.equal(a.errors, 1);
  assert.equal(a.subErrors[0], 1);
  assert.equal(a.gaps.get(0)?.kind, 'init');
  assert.equal(a.gaps.get(0)?.to, 1.84e9);
  const g = [...a.groups.values()][0];
  assert.equal(g?.rows.length, 12);
  assert.equal(g?.sequential, 12);
  assert.deepEqual(
    a.findings
      .map((f) => f.kind)
      .filter((k) => k === 'cold' || k === 'repeat' || k === 'error')
      .sort(),
    ['cold', 'error', 'repeat'],
  );
  const view = { closed: new Set<number>(), unfolded: new Set<number>(), service: -1 };
  assert.deepEqual(
    visibleRows(t, a, view).map((r) => r.kind),
    ['span', 'span', 'group', 'span'],
  );
  assert.equal(visibleRows(t, a, { ...view, unfolded: new Set([g?.first as number]) }).length, 15);
  assert.equal(visibleRows(t, a, { ...view, closed: new Set([0]) }).length, 2);
  const lost = t.service[14] as number;
  assert.deepEqual(
    visibleRows(t, a, { ...view, service: lost }).map((r) => r.kind),
    ['hidden', 'span'],
  );
  let covered = 0;
  for (const list of a.critical.values()) for (const [x, y] of list) covered += y - x;
  assert.ok(Math.abs(covered - 3.4e9) < 1e3, `critical path covers the root: ${covered}`);
  assert.deepEqual(axisTicks(0, 4e9, 8), [0, 0.5e9, 1e9, 1.5e9, 2e9, 2.5e9, 3e9, 3.5e9, 4e9]);
});

test('trace block: the bytes that the server wrote', () => {
  const bytes = readFileSync(join(WEB_DIR, 'test/golden/trace-block.bin'));
  const t = decodeTrace(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
  assert.equal(t.n, 16);
  assert.equal(t.nTotal, 16);
  assert.equal(t.traceId, '00000000000000000000000000c0ffee');
  assert.equal(t.flags & 2, 2, 'a parent is missing');
  const row = (name: string): number =>
    Array.from({ length: t.n }, (_, i) => i).find((i) => t.str(t.name[i] as number) === name) as number;
  assert.equal(t.str(t.resource[0] as number), 'GET /検索');
  assert.equal(t.parent[0], -1);
  assert.equal((t.flag[0] as number) & 1, 1);
  assert.equal(t.dur[0], 900e6);
  const last = row('last');
  assert.equal(t.spanId[last], 18446744073709551615n);
  assert.equal(t.parent[last], 1);
  assert.equal(t.startOff[last], 700e6);
  assert.equal((t.flag[1] as number) & 2, 2, 'cold start');
  assert.equal(t.tail.types[t.type[row('dynamodb.getItem')] as number], 'db');
  assert.deepEqual(t.tail.services.map((s) => s.name).sort(), [
    'api-gateway',
    'aws.dynamodb',
    'inventory-fn',
    'search-fn',
  ]);
  assert.equal(t.tail.services.find((s) => s.name === 'aws.dynamodb')?.errors, 1);
  const a = analyse(t);
  assert.equal([...a.groups.values()][0]?.rows.length, 11);
  assert.equal(a.gaps.get(0)?.kind, 'init');
  assert.equal(a.errors, 2);
});
