// SPDX-License-Identifier: Apache-2.0
// Both languages have the same keys and placeholders, every key that the source names exists, and rules of the source tree hold.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import en from '../src/i18n/en.json';
import ja from '../src/i18n/ja.json';

declare const WEB_DIR: string;
const dicts = { en: en as Record<string, string>, ja: ja as Record<string, string> };

function sources(dir: string): string[] {
  return readdirSync(dir).flatMap((f) => {
    const p = join(dir, f);
    return statSync(p).isDirectory() ? sources(p) : /\.tsx?$/.test(f) ? [p] : [];
  });
}
const files = sources(join(WEB_DIR, 'src'));

test('en and ja have the same keys', () => {
  assert.deepEqual(Object.keys(dicts.ja).sort(), Object.keys(dicts.en).sort());
});

test('en and ja have the same placeholders, no text is empty', () => {
  const holes = (s: string): string[] => [...new Set(s.match(/\{\w+\}/g) ?? [])].sort();
  for (const [k, v] of Object.entries(dicts.en)) {
    assert.ok(v.trim() && dicts.ja[k]?.trim(), k);
    assert.deepEqual(holes(dicts.ja[k] as string), holes(v), k);
    assert.ok(!(dicts.ja[k] as string).includes('|'), `${k}: plural forms are English only`);
  }
});

test('every message that the source names exists', () => {
  const missing = new Set<string>();
  for (const f of files) {
    const s = readFileSync(f, 'utf8');
    for (const m of s.matchAll(/\bt\(\s*'([a-zA-Z0-9_.]+)'/g))
      if (!((m[1] as string) in dicts.en)) missing.add(`${m[1]} in ${f}`);
    for (const m of s.matchAll(/label: '([a-z]+\.[a-z_]+)'|(?:title|text|note): '(setup\.[a-z_]+)'/g)) {
      const k = (m[1] ?? m[2]) as string;
      if (!(k in dicts.en)) missing.add(`${k} in ${f}`);
    }
  }
  assert.deepEqual([...missing], []);
});

test('times are formatted in lib/time.ts only, markup has no inline handlers', () => {
  for (const f of files) {
    const s = readFileSync(f, 'utf8');
    if (!f.endsWith('lib/time.ts'))
      assert.doesNotMatch(
        s,
        /\.toLocale\w*String\(|\.get(Hours|Minutes|Seconds|Day|Date|Month|FullYear|TimezoneOffset)\(/,
        f,
      );
    assert.doesNotMatch(s, /dangerouslySetInnerHTML/, f);
  }
});

test('colours are written in tokens.css only', () => {
  for (const f of [
    ...files,
    join(WEB_DIR, 'components.css'),
    ...readdirSync(join(WEB_DIR, 'src/styles')).map((x) => join(WEB_DIR, 'src/styles', x)),
  ]) {
    const s = readFileSync(f, 'utf8').replace(/url\([^)]*\)|href=\{?`?#[\w-]+/g, '');
    assert.doesNotMatch(s, /#[0-9a-fA-F]{6}\b|\brgba?\(/, f);
  }
});
