// SPDX-License-Identifier: Apache-2.0
// Messages: flat keys, {name} placeholders, plural forms `one|other` for English only.

type Dict = Record<string, string>;
let dict: Dict = {};
export let lang: 'en' | 'ja' = 'en';

export async function loadLanguage(wanted: string): Promise<void> {
  lang = wanted === 'ja' ? 'ja' : 'en';
  dict = ((lang === 'ja' ? await import('../i18n/ja.json') : await import('../i18n/en.json')) as { default: Dict })
    .default;
  document.documentElement.lang = lang;
}

/** Message of a key; `n` picks the English plural. A missing key shows itself, which the tests look for. */
export function t(key: string, vars?: Record<string, string | number>): string {
  let m = dict[key];
  if (m === undefined) return `⟨${key}⟩`;
  if (m.includes('|') && vars && 'n' in vars) {
    const [one, other] = m.split('|');
    m = (String(vars.n) === '1' ? one : other) ?? m;
  }
  return vars ? m.replace(/\{(\w+)\}/g, (_, k: string) => String(vars[k] ?? '')) : m;
}
