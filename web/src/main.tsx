// SPDX-License-Identifier: Apache-2.0
// Starts the page: language, zone, sprite, keys, and the table of routes.
import { render, type FunctionComponent, type VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { setNumberLocale } from './lib/format';
import { lang, loadLanguage, t } from './lib/i18n';
import { startKeys } from './lib/keys';
import { here, interceptLinks, useLoc } from './lib/router';
import { setZone } from './lib/time';
import { startStatus } from './lib/view';
import { mountSprite } from './ui/icon';
import { Toasts } from './ui/toast';

export interface PageProps {
  id: string;
}
type PageModule = { default: FunctionComponent<PageProps> };

const ROUTES: [RegExp, () => Promise<PageModule>][] = [
  [/^\/$/, () => import('./pages/home')],
  [/^\/traces$/, () => import('./pages/traces')],
  [/^\/trace\/([^/]+)$/, () => import('./pages/trace')],
  [/^\/logs$/, () => import('./pages/logs')],
  [/^\/metrics$/, () => import('./pages/metrics')],
  [/^\/monitors$/, () => import('./pages/monitors')],
  [/^\/monitors\/(\d+)$/, () => import('./pages/monitor')],
  [/^\/setup(?:\/([\w-]+))?$/, () => import('./pages/setup')],
];
const loaded = new Map<number, FunctionComponent<PageProps>>();

function match(path: string): { route: number; id: string } {
  for (let i = 0; i < ROUTES.length; i++) {
    const m = (ROUTES[i] as (typeof ROUTES)[number])[0].exec(path);
    if (m) return { route: i, id: m[1] ?? '' };
  }
  return { route: -1, id: '' };
}

async function load(route: number): Promise<FunctionComponent<PageProps>> {
  const had = loaded.get(route);
  if (had) return had;
  const mod = route < 0 ? await import('./pages/notfound') : await (ROUTES[route] as (typeof ROUTES)[number])[1]();
  loaded.set(route, mod.default);
  return mod.default;
}

/** Language from the URL, then the stored choice, then the browser. A choice made by the switch is remembered. */
function wantedLanguage(): string {
  const url = here().params.lang;
  if (url) return url;
  try {
    const stored = localStorage.getItem('yg.lang');
    if (stored) return stored;
  } catch {
    /* private mode */
  }
  return navigator.language.startsWith('ja') ? 'ja' : 'en';
}

function App(): VNode | null {
  const loc = useLoc();
  const { route, id } = match(loc.path);
  const [, tick] = useState(0);
  const wanted = wantedLanguage();
  useEffect(() => {
    if ((wanted === 'ja' ? 'ja' : 'en') === lang) return;
    void loadLanguage(wanted).then(() => {
      setNumberLocale(lang);
      setZone(here().params.tz, lang);
      tick((n) => n + 1);
    });
  }, [wanted]);
  setZone(loc.params.tz, lang);
  const Page = loaded.get(route);
  useEffect(() => {
    if (!Page) void load(route).then(() => tick((n) => n + 1));
  }, [route, Page]);
  // the address of a page decides its component; lang is part of the key so that every text is drawn anew
  return (
    <>
      {Page ? <Page key={`${loc.path}|${lang}`} id={id} /> : null}
      <Toasts />
    </>
  );
}

async function start(): Promise<void> {
  mountSprite();
  interceptLinks();
  startKeys();
  const first = load(match(here().path).route);
  await loadLanguage(wantedLanguage());
  setNumberLocale(lang);
  setZone(here().params.tz, lang);
  await first;
  startStatus();
  const root = document.getElementById('root') as HTMLElement;
  root.textContent = ''; // the empty frame that was painted while this script loaded
  render(<App />, root);
}

start().catch((e: unknown) => {
  const root = document.getElementById('root') as HTMLElement;
  root.textContent = `${t('err.start')} ${e instanceof Error ? e.message : String(e)}`;
});
