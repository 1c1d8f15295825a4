// SPDX-License-Identifier: Apache-2.0
// The shared frame: navigation, top bar, scope bar, status line, phone bar, help sheet, keys of the frame.
import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { askStatusNow, isLive, moveRange, refresh, setLive, useStatus, type View } from '../lib/view';
import { boot, clockOffset } from '../lib/boot';
import { fmtBytes, fmtCount, fmtRate } from '../lib/format';
import { lang, t } from '../lib/i18n';
import { activeBindings, setSingleKeys, singleKeysOff, useKeys, type Binding } from '../lib/keys';
import { go, here, href, hrefHere, setParams } from '../lib/router';
import { linkTo } from '../lib/url';
import { facetValues } from './facets';
import { Icon } from './icon';
import { Popover, Select, type Choice } from './popover';
import { TimePick } from './timepick';
import { copyText, toast } from './toast';

interface NavItem {
  id: string;
  path: string;
  key: string;
  gap?: boolean;
}
const NAV: NavItem[] = [
  { id: 'home', path: '/', key: 'h' },
  { id: 'traces', path: '/traces', key: 't', gap: true },
  { id: 'logs', path: '/logs', key: 'l' },
  { id: 'metrics', path: '/metrics', key: 'x' },
  { id: 'monitors', path: '/monitors', key: 'a', gap: true },
];
const TABBAR = ['home', 'traces', 'logs', 'monitors'];

export interface FrameProps {
  v: View;
  page: string;
  title: string;
  /** Breadcrumb: the list this page belongs to. */
  crumb?: { label: string; path: string };
  badges?: ComponentChildren;
  tools?: ComponentChildren;
  query?: ComponentChildren;
  /** Left part of the scope bar; undefined = env and service. */
  scope?: ComponentChildren;
  noTime?: boolean;
  timeNote?: ComponentChildren;
  compare?: boolean;
  statusRight?: ComponentChildren;
  statusLeft?: ComponentChildren;
  fixed?: boolean;
  busy?: boolean;
  children: ComponentChildren;
}

export function switchTheme(): void {
  const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem('yg.theme', next);
  } catch {
    /* private mode */
  }
}

/** The link of this view with absolute times, so that it shows the same tomorrow. */
export function absoluteLink(v: View): string {
  return location.origin + hrefHere({ from: String(v.range.from_ms), to: String(v.range.to_ms) });
}

function frameKeys(v: View, noTime: boolean, setHelp: (on: boolean) => void, toggleNav: () => void): Binding[] {
  const goto: Binding[] = [
    ...NAV.map((n): [string, string, string] => [n.key, n.path, n.id]),
    ['s', '/', 'services'],
    ['f', '/', 'functions'],
    [',', '/setup', 'setup'],
  ].map(([k, path, id]) => ({
    keys: `g ${k}`,
    scope: 'go',
    label: id === 'services' || id === 'functions' ? undefined : `nav.${id}`,
    run: () => go(linkTo(here().params, path as string)),
  }));
  const time: Binding[] = noTime
    ? []
    : [
        { keys: 't', scope: 'frame', label: 'keys.time', run: () => void dispatchEvent(new Event('yg:time')) },
        { keys: '[', scope: 'frame', label: 'time.earlier', run: () => moveRange(v, 'earlier') },
        { keys: ']', scope: 'frame', label: 'time.later', run: () => moveRange(v, 'later') },
        { keys: '-', scope: 'frame', label: 'time.out', run: () => moveRange(v, 'out') },
        { keys: '=', scope: 'frame', label: 'time.in', run: () => moveRange(v, 'in') },
        { keys: 'z', scope: 'frame', label: 'keys.undo_zoom', run: () => history.back() },
        { keys: '.', scope: 'frame', label: 'time.live', run: () => setLive(!isLive()) },
        { keys: 'v', scope: 'frame', label: 'keys.scope', run: () => document.getElementById('scope-env')?.click() },
      ];
  return [
    ...goto,
    {
      keys: '/',
      scope: 'frame',
      label: 'keys.query',
      run: () => {
        const q = document.getElementById('query') as HTMLInputElement | null;
        q?.focus();
        q?.select();
        return !!q;
      },
    },
    ...time,
    { keys: 'r', scope: 'frame', label: 'time.refresh', run: refresh },
    {
      keys: 'y',
      scope: 'frame',
      label: 'keys.copy_link',
      run: () => void copyText(noTime ? location.href : absoluteLink(v), t('link_copied'), 'y'),
    },
    { keys: '\\', scope: 'frame', label: 'keys.fold_nav', run: toggleNav },
    { keys: '⇧D', scope: 'frame', label: 'keys.theme', run: switchTheme },
    { keys: '?', scope: 'frame', label: 'keys.help', run: () => setHelp(true) },
  ];
}

function HelpSheet({ onClose }: { onClose: () => void }): VNode {
  const box = useRef<HTMLDivElement>(null);
  const [off, setOff] = useState(singleKeysOff());
  useEffect(() => {
    const back = document.activeElement as HTMLElement | null;
    box.current?.focus();
    return () => back?.focus?.();
  }, []);
  const groups: [string, Binding[]][] = ['go', 'frame', 'list', 'trace', 'chart'].map((s) => [
    s,
    activeBindings().filter((b) => b.scope === s && b.label),
  ]);
  const chart: [string, string][] = [
    ['← →', 'keys.chart_point'],
    ['⇧← ⇧→', 'keys.chart_ten'],
    ['Enter', 'keys.chart_open'],
    ['T', 'keys.chart_table'],
  ];
  return (
    <div
      class="scrim"
      onPointerDown={(e) => {
        if (e.target === e.currentTarget) onClose();
      }}
    >
      <div
        class="sheet"
        role="dialog"
        aria-modal="true"
        aria-label={t('keys.help')}
        ref={box}
        tabIndex={-1}
        onKeyDown={(e) => {
          if (e.key === 'Escape') {
            e.preventDefault();
            e.stopPropagation();
            onClose();
          }
        }}
      >
        <div class="card-h">
          <h2>{t('keys.help')}</h2>
          <span class="end" />
          <label class="check fs12">
            <input
              type="checkbox"
              checked={!off}
              onChange={(e) => {
                setSingleKeys(e.currentTarget.checked);
                setOff(!e.currentTarget.checked);
              }}
            />
            {t('keys.single')}
          </label>
          <button class="iconbtn sm" type="button" aria-label={t('close')} onClick={onClose}>
            <Icon n="close" cls="s14" />
          </button>
        </div>
        <div class="keylist">
          {groups
            .filter(([, b]) => b.length)
            .map(([s, b]) => (
              <section key={s}>
                <h3>{t(`keys.scope_${s}`)}</h3>
                {b
                  .filter((x, i) => b.findIndex((o) => o.keys === x.keys) === i)
                  .map((x) => (
                    <div class="keyrow" key={x.keys}>
                      <span>
                        {x.keys.split(' ').map((k) => (
                          <span key={k} class="kbd">
                            {k}
                          </span>
                        ))}
                      </span>
                      <span>{t(x.label as string)}</span>
                    </div>
                  ))}
              </section>
            ))}
          <section>
            <h3>{t('keys.scope_chart')}</h3>
            {chart.map(([k, l]) => (
              <div class="keyrow" key={k}>
                <span>
                  <span class="kbd">{k}</span>
                </span>
                <span>{t(l)}</span>
              </div>
            ))}
          </section>
        </div>
      </div>
    </div>
  );
}

/** Environment and service that all queries of the page are narrowed to. */
function Scope({ v }: { v: View }): VNode {
  const [services, setServices] = useState<Choice[]>([]);
  const envs: Choice[] = [
    { value: '', label: t('any') },
    ...[...new Set([...boot.envs, ...(v.env ? [v.env] : [])])].map((e) => ({ value: e, label: e })),
  ];
  const load = (prefix: string): void => {
    facetValues('spans', 'service', v, prefix)
      .then((list) => setServices(list.map((x) => ({ value: x.value, label: x.value, end: fmtCount(x.count) }))))
      .catch(() => setServices([]));
  };
  const list: Choice[] = [{ value: '', label: t('any') }, ...services];
  if (v.service && !services.some((s) => s.value === v.service)) list.push({ value: v.service, label: v.service });
  return (
    <>
      <Select
        id="scope-env"
        k="env"
        label={t('scope.env')}
        value={v.env}
        choices={envs}
        onPick={(e) => setParams({ env: e })}
      />
      <Select
        cls="sc-service"
        k="service"
        label={t('scope.service')}
        value={v.service}
        choices={list}
        onOpen={() => load('')}
        onFilter={load}
        onPick={(s) => setParams({ service: s })}
      />
    </>
  );
}

function StatusLine({ left, right }: { left?: ComponentChildren; right?: ComponentChildren }): VNode {
  const { status: s, lost } = useStatus();
  const per = t('per_s');
  return (
    <footer class="statusline hide-narrow" aria-label={t('status_line')}>
      {left ??
        (s ? (
          <>
            <span>
              {t('s.ingest')}{' '}
              <b>
                {fmtRate(s.ingest.spans_per_s + s.ingest.logs_per_s + s.ingest.points_per_s)} {per}
              </b>
            </span>
            {s.ingest.rejected_per_s > 0 ? (
              <span class="c-warn">
                {t('s.rejected')}{' '}
                <b>
                  {fmtRate(s.ingest.rejected_per_s)} {per}
                </b>
              </span>
            ) : null}
            <span>
              {t('s.lag')} <b>{s.lag_ms < 1000 ? `${Math.round(s.lag_ms)} ms` : `${(s.lag_ms / 1000).toFixed(1)} s`}</b>
            </span>
            <span class="hide-tablet">
              {t('s.memory')} <b>{fmtBytes(s.memory.used_bytes)}</b>
            </span>
            <span class="hide-tablet">
              {t('s.disk')} <b>{fmtBytes(s.disk.data_bytes)}</b>
            </span>
            <span class="hide-tablet">
              {t('s.clock')} <b>{`${clockOffset() < 0 ? '−' : '+'}${(Math.abs(clockOffset()) / 1000).toFixed(1)} s`}</b>
            </span>
          </>
        ) : (
          <span>{lost ? t('s.lost') : '…'}</span>
        ))}
      <span class="end">{right}</span>
    </footer>
  );
}

function MoreMenu({ anchor, onClose }: { anchor: HTMLElement | null; onClose: () => void }): VNode {
  const items: [string, string, string][] = [
    ['metrics', '/metrics', 'metrics'],
    ['setup', '/setup', 'setup'],
  ];
  return (
    <Popover anchor={anchor} onClose={onClose} label={t('nav.more')} cls="choices more" role="group" align="right">
      {items.map(([icon, path, id]) => (
        <a key={id} class="opt" href={href(path)} onClick={onClose}>
          <Icon n={icon} cls="s14" />
          {t(`nav.${id}`)}
        </a>
      ))}
      <a class="opt" href={hrefHere({ lang: lang === 'ja' ? 'en' : 'ja' })}>
        <span class="s14 fs12">{lang === 'ja' ? 'EN' : 'JA'}</span>
        {t('lang.other')}
      </a>
    </Popover>
  );
}

export function Frame(p: FrameProps): VNode {
  const { v } = p;
  const { status, lost } = useStatus();
  const [help, setHelp] = useState(false);
  const [more, setMore] = useState(false);
  const [folded, setFolded] = useState(() => {
    try {
      return localStorage.getItem('yg.nav') === 'folded';
    } catch {
      return false;
    }
  });
  const moreBtn = useRef<HTMLButtonElement>(null);
  const main = useRef<HTMLElement>(null);
  const toggleNav = (): void =>
    setFolded((f) => {
      try {
        localStorage.setItem('yg.nav', f ? '' : 'folded');
      } catch {
        /* private mode */
      }
      return !f;
    });
  useKeys(frameKeys(v, !!p.noTime, setHelp, toggleNav));
  useEffect(() => {
    document.title = `${p.title} · yagura`;
  }, [p.title]);
  useEffect(() => {
    if (document.activeElement === document.body) main.current?.focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    if (v.badTime && !p.noTime) toast(t('time.unread'));
  }, [v.badTime]);
  const alerts = status?.monitors.alert ?? 0;
  const item = (n: { id: string; path: string; key?: string }): VNode => (
    <a class="item" href={href(n.path)} aria-current={p.page === n.id ? 'page' : undefined} title={t(`nav.${n.id}`)}>
      <Icon n={n.id} />
      <span>{t(`nav.${n.id}`)}</span>
      {n.id === 'monitors' && alerts ? <span class="count error">{alerts}</span> : null}
      {n.key ? (
        <span class="kbd" aria-hidden="true">
          g {n.key}
        </span>
      ) : null}
    </a>
  );
  return (
    <div class={`app ${folded ? 'folded' : ''}`}>
      <a
        class="skip"
        href="#main"
        onClick={(e) => {
          e.preventDefault();
          main.current?.focus();
        }}
      >
        {t('skip')}
      </a>
      <nav class="nav" aria-label={t('nav.main')}>
        <a class="brand" href={href('/')}>
          <Icon n="logo" cls="s20" />
          <span>yagura</span>
          <span class="org" lang="ja">
            櫓
          </span>
        </a>
        <ul>
          {NAV.map((n) => (
            <li key={n.id} class={n.gap ? 'gap' : ''}>
              {item(n)}
            </li>
          ))}
        </ul>
        <div class="foot">{item({ id: 'setup', path: '/setup', key: ',' })}</div>
      </nav>
      <div class="col">
        <header class="topbar">
          {p.crumb ? (
            <a class="iconbtn only-narrow" aria-label={t('back_to', { page: p.crumb.label })} href={href(p.crumb.path)}>
              <Icon n="left" />
            </a>
          ) : null}
          {p.crumb ? (
            <nav class="crumbs hide-narrow" aria-label={t('breadcrumb')}>
              <a href={href(p.crumb.path)}>{p.crumb.label}</a>
              <Icon n="right" cls="s12" />
            </nav>
          ) : null}
          <h1 class={p.query ? '' : 'cut'} title={p.title}>
            {p.title}
          </h1>
          {p.badges}
          {p.query ?? <span class="grow" />}
          <div class="tools hstack tight">
            {p.tools}
            <button
              class="iconbtn hide-narrow"
              type="button"
              aria-label={t('keys.help')}
              title="?"
              onClick={() => setHelp(true)}
            >
              <Icon n="help" />
            </button>
            <a
              class="iconbtn hide-narrow"
              aria-label={t('lang.switch')}
              href={hrefHere({ lang: lang === 'ja' ? 'en' : 'ja' })}
            >
              <span class="fs12">{lang === 'ja' ? 'EN' : 'JA'}</span>
            </a>
            <button class="iconbtn" type="button" aria-label={t('keys.theme')} title="⇧D" onClick={switchTheme}>
              <Icon n="contrast" />
            </button>
          </div>
        </header>
        <div class="scopebar inset" role="region" tabIndex={0} aria-label={t('scope.bar')}>
          {p.scope ?? <Scope v={v} />}
          <span class="end hide-narrow" />
          {p.noTime ? p.timeNote : <TimePick v={v} />}
          {p.compare ? (
            <Select
              k={t('vs')}
              label={t('vs_label')}
              value={v.params.cmp ?? ''}
              onPick={(x) => setParams({ cmp: x })}
              choices={[
                { value: '', label: t('cmp.off'), text: t('cmp.off') },
                { value: '-1d', label: t('cmp.1d'), text: t('cmp.1d') },
                { value: '-1w', label: t('cmp.1w'), text: t('cmp.1w') },
              ]}
            />
          ) : null}
          {p.busy ? (
            <div class="progress" role="progressbar" aria-label={t('loading')}>
              <i class="run" />
            </div>
          ) : null}
        </div>
        <main id="main" class={`body ${p.fixed ? 'fixed' : ''}`} tabIndex={-1} ref={main}>
          {lost ? (
            <div class="banner warn" role="status">
              <Icon n="st-warn" cls="s14 c-warn" />
              <span class="grow">
                <b>{t('offline')}</b> {t('offline_more')}
              </span>
              <button class="btn sm" type="button" onClick={askStatusNow}>
                {t('now')}
              </button>
            </div>
          ) : null}
          {!boot.session ? (
            <div class="banner warn" role="status">
              <Icon n="lock" cls="s14" />
              <span class="grow">
                {t('no_session')} <code>yagura user link</code>
              </span>
            </div>
          ) : null}
          {p.children}
        </main>
        <StatusLine left={p.statusLeft} right={p.statusRight} />
        <nav class="tabbar" aria-label={t('nav.short')}>
          {TABBAR.map((id) => {
            const n = NAV.find((x) => x.id === id) as NavItem;
            return (
              <a key={id} href={href(n.path)} aria-current={p.page === id ? 'page' : undefined}>
                <Icon n={id} />
                <span>{t(`nav.${id}`)}</span>
                {id === 'monitors' && alerts ? <span class="count error">{alerts}</span> : null}
              </a>
            );
          })}
          <button
            ref={moreBtn}
            type="button"
            aria-haspopup="true"
            aria-expanded={more}
            aria-current={TABBAR.includes(p.page) ? undefined : 'page'}
            onClick={() => setMore(!more)}
          >
            <Icon n="menu" />
            <span>{t('nav.more')}</span>
          </button>
        </nav>
        {more ? <MoreMenu anchor={moreBtn.current} onClose={() => setMore(false)} /> : null}
      </div>
      {help ? <HelpSheet onClose={() => setHelp(false)} /> : null}
    </div>
  );
}
