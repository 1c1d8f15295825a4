// SPDX-License-Identifier: Apache-2.0
// Small shared parts: names that give way in the middle, deltas, figures, tabs, key-value lists, copy button.
import type { ComponentChildren, VNode } from 'preact';
import { useRef } from 'preact/hooks';
import { fmtDelta } from '../lib/format';
import { t } from '../lib/i18n';
import { Icon } from './icon';
import { copyText } from './toast';

/** Long names lose their middle, never their end. */
export function Mid({ s, tail = 10 }: { s: string; tail?: number }): VNode {
  if (s.length <= tail + 6)
    return (
      <span class="cut" title={s}>
        {s}
      </span>
    );
  return (
    <span class="mid" title={s}>
      <span>{s.slice(0, -tail)}</span>
      <span>{s.slice(-tail)}</span>
    </span>
  );
}

/** Change against an earlier value; red only when worse. */
export function Delta({
  now,
  before,
  worse = 'up',
}: {
  now: number | null | undefined;
  before: number | null | undefined;
  worse?: 'up' | 'none';
}): VNode | null {
  const d = fmtDelta(now, before);
  if (!d) return null;
  const bad = worse === 'up' && d.ratio >= 1.25,
    good = worse === 'up' && d.ratio <= 0.8;
  return (
    <span class={`delta ${bad ? 'bad' : good ? 'good' : ''}`} title={t('vs_day')}>
      {d.text}
    </span>
  );
}

export interface TabDef {
  id: string;
  label: ComponentChildren;
  n?: number | string | null;
}

export function Tabs({
  tabs,
  value,
  onPick,
  label,
  cls = 'sm',
  ctl,
  closed,
}: {
  tabs: TabDef[];
  value: string;
  onPick: (id: string) => void;
  label: string;
  cls?: string;
  ctl: string;
  closed?: boolean;
}): VNode {
  const box = useRef<HTMLDivElement>(null);
  const key = (e: KeyboardEvent): void => {
    const d = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
    if (!d) return;
    e.preventDefault();
    const i = (tabs.findIndex((x) => x.id === value) + d + tabs.length) % tabs.length;
    onPick((tabs[i] as TabDef).id);
    box.current?.querySelectorAll<HTMLElement>('[role=tab]')[i]?.focus();
  };
  return (
    <div ref={box} class={`tabs ${cls}`} role="tablist" aria-label={label} onKeyDown={key}>
      {tabs.map((x) => (
        <button
          key={x.id}
          id={`${ctl}-${x.id}`}
          role="tab"
          type="button"
          aria-selected={x.id === value}
          tabIndex={x.id === value ? 0 : -1}
          aria-controls={closed ? undefined : `${ctl}-panel`}
          onClick={() => onPick(x.id)}
        >
          {x.label}
          {x.n !== undefined && x.n !== null ? <span class="t3 fs12">{x.n}</span> : null}
        </button>
      ))}
    </div>
  );
}

export function CopyButton({
  text,
  said,
  label,
  word,
}: {
  text: string;
  said?: string;
  label?: string;
  word?: boolean;
}): VNode {
  return (
    <button
      class={word ? 'btn quiet sm' : 'iconbtn sm'}
      type="button"
      aria-label={label ?? t('copy')}
      onClick={() => void copyText(text, said ?? t('copied'))}
    >
      <Icon n="copy" cls="s14" />
      {word ? t('copy') : null}
    </button>
  );
}

export interface KvRow {
  k: string;
  v: ComponentChildren;
  raw: string;
  filter?: string;
}

/** Key-value list with filter actions that keep their space while hidden. */
export function KvList({
  rows,
  onFilter,
}: {
  rows: KvRow[];
  onFilter?: (key: string, value: string, exclude: boolean) => void;
}): VNode {
  return (
    <dl class="kv">
      {rows.map((r) => (
        <div key={r.k}>
          <dt title={r.k}>{r.k}</dt>
          <dd>{r.v}</dd>
          <dd class="act">
            {onFilter && r.filter ? (
              <button
                class="iconbtn sm"
                type="button"
                title={t('filter_hint')}
                aria-label={t('filter_by', { k: r.k, v: r.raw })}
                onClick={(e) => onFilter(r.filter as string, r.raw, e.altKey)}
              >
                <Icon n="plus" cls="s14" />
              </button>
            ) : (
              <button
                class="iconbtn sm"
                type="button"
                aria-label={t('copy_value', { k: r.k })}
                onClick={() => void copyText(r.raw, t('copied'))}
              >
                <Icon n="copy" cls="s14" />
              </button>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Text with the given words marked. */
export function Marked({ text, words }: { text: string; words: string[] }): VNode {
  const clean = words.filter((w) => w.length > 1).slice(0, 8);
  if (!clean.length) return <>{text}</>;
  const re = new RegExp(`(${clean.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})`, 'gi');
  return <>{text.split(re).map((s, i) => (i % 2 ? <mark key={i}>{s}</mark> : s))}</>;
}

/** A side panel (a full-screen sheet on phones). */
export function Side({
  label,
  head,
  children,
  onClose,
  wide,
}: {
  label: string;
  head: ComponentChildren;
  children: ComponentChildren;
  onClose: () => void;
  wide?: boolean;
}): VNode {
  return (
    <aside class={`side ${wide ? 'wide' : ''}`} aria-label={label}>
      <div class="side-h">
        {head}
        <button
          class="iconbtn sm"
          type="button"
          aria-label={t('copy_link')}
          onClick={() => void copyText(location.href, t('link_copied'), 'y')}
        >
          <Icon n="link" cls="s14" />
        </button>
        <button class="iconbtn sm" type="button" aria-label={t('close')} onClick={onClose}>
          <Icon n="close" cls="s14" />
        </button>
      </div>
      {children}
    </aside>
  );
}

/** JSON with its syntax in quiet colours. */
export function JsonCode({ value }: { value: unknown }): VNode {
  const text = JSON.stringify(value, null, 2) ?? '';
  const parts = text.split(/("(?:[^"\\]|\\.)*"(?:\s*:)?)/g);
  return (
    <pre class="code">
      {parts.map((p, i) =>
        i % 2 ? (
          <span key={i} class={p.endsWith(':') ? 'kw' : 's'}>
            {p}
          </span>
        ) : (
          p
        ),
      )}
    </pre>
  );
}
