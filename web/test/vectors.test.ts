// SPDX-License-Identifier: Apache-2.0
// The query parsers against the vectors that the server's parsers are tested with.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseFormula, parseMetric, asSeries, formatSeries, metricSpot } from '../src/lib/metric';
import {
  addTerm,
  highlightWords,
  parseSearch,
  pickedValues,
  quoteValue,
  scoped,
  setFacet,
  spotAt,
  toggleTerm,
} from '../src/lib/search';

declare const WEB_DIR: string;
interface Vector {
  q: string;
  ok: boolean;
  why: string;
  column?: number;
}
const load = (name: string): Vector[] =>
  JSON.parse(readFileSync(join(WEB_DIR, '../test/vectors', name), 'utf8')) as Vector[];

for (const [file, parse] of [
  ['search.json', parseSearch],
  ['metric.json', parseMetric],
] as const) {
  for (const v of load(file)) {
    test(`${file}: ${v.ok ? 'takes' : 'refuses'} ${v.q || '(empty)'}`, () => {
      const r = parse(v.q);
      assert.equal(r.error === null, v.ok, JSON.stringify(r.error));
      if (v.column) assert.equal(r.error?.column, v.column);
      for (const t of r.tokens) assert.ok(t.start < t.end && t.end <= v.q.length);
    });
  }
}

test('tokens cover the query without overlap', () => {
  const q = 'service:web* -(a OR "b c") @n:[1 TO 5] CIDR(@ip, 10.0.0.0/8)';
  let at = 0;
  for (const t of [...parseSearch(q).tokens].sort((a, b) => a.start - b.start)) {
    assert.ok(t.start >= at, `${t.start} < ${at}`);
    assert.match(q.slice(at, t.start), /^[\s,]*$/);
    at = t.end;
  }
  assert.equal(at, q.length);
});

test('facets edit the query and keep the rest as typed', () => {
  assert.equal(setFacet('', 'service', ['a']), 'service:a');
  assert.equal(setFacet('error  service:a', 'service', ['a', 'b c']), 'error service:(a OR "b c")');
  assert.equal(setFacet('service:(a OR b) x', 'service', []), 'x');
  assert.equal(setFacet('a OR b', 'service', ['x']), '(a OR b) service:x');
  assert.deepEqual(pickedValues(parseSearch('service:(a OR "b c") -service:d').ast, 'service'), {
    include: ['a', 'b c'],
    exclude: ['d'],
  });
  assert.equal(toggleTerm('x', '@k', 'v', true), 'x -@k:v');
  assert.equal(toggleTerm('x -@k:v', '@k', 'v', true), 'x');
  assert.equal(addTerm('*', parseSearch('*').ast, 'a:b'), 'a:b');
  assert.equal(quoteValue('GET /a?b'), '"GET /a?b"');
  assert.equal(quoteValue('say "x"'), '"say \\"x\\""');
});

test('scope is added once and not over an explicit choice', () => {
  assert.equal(scoped('', { env: 'prod', service: undefined }), 'env:prod');
  assert.equal(scoped('a OR b', { env: 'prod', service: 's' }), '(a OR b) env:prod service:s');
  assert.equal(scoped('env:dev', { env: 'prod' }), 'env:dev');
});

test('suggestions know where the cursor is', () => {
  assert.deepEqual(spotAt('serv', 4), { kind: 'key', key: '', prefix: 'serv', start: 0, end: 4 });
  assert.deepEqual(spotAt('x -service:or', 13), { kind: 'value', key: 'service', prefix: 'or', start: 11, end: 13 });
  assert.equal(spotAt('service:(a OR b', 15).key, 'service');
  assert.deepEqual(metricSpot('sum:a.b{env:pr', 14), {
    kind: 'value',
    metric: 'a.b',
    key: 'env',
    prefix: 'pr',
    start: 12,
    end: 14,
  });
  assert.equal(metricSpot('sum:a.b{*} by {se', 17).kind, 'by');
  assert.equal(metricSpot('sum:aws.la', 10).prefix, 'aws.la');
});

test('builder and text agree', () => {
  const q = 'sum:a.b{env:prod,!host:x} by {service,team}.rollup(sum, 60)';
  const s = asSeries(q);
  assert.ok(s);
  assert.equal(formatSeries(s), q);
  assert.equal(asSeries('a{*} + b{*}'), null);
  assert.equal(parseFormula('(a - b) / default_zero(a) * 100').error, null);
  assert.notEqual(parseFormula('sum:a{*}').error, null);
  assert.deepEqual(highlightWords(parseSearch('service:a time* "two words" -gone').ast), ['time', 'two words']);
});
