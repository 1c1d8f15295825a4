// SPDX-License-Identifier: Apache-2.0
// Sets theme and language on <html> before the first paint; loaded as a small blocking script because inline script is not allowed.
const params = new URLSearchParams(location.search);
const root = document.documentElement;
const read = (key: string): string | null => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};
const stored = params.get('theme') ?? read('yg.theme');
const dark = stored ? stored === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
root.dataset.theme = dark ? 'dark' : 'light';
const lang = params.get('lang') ?? read('yg.lang') ?? navigator.language;
root.lang = lang.startsWith('ja') ? 'ja' : 'en';
