// SPDX-License-Identifier: Apache-2.0
// The query bar: a native input with a coloured mirror under it and a list of suggestions. Enter runs, never while composing.
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { fmtCount } from '../lib/format';
import { t } from '../lib/i18n';
import { parseSearch, quoteValue, spotAt } from '../lib/search';
import { Icon } from './icon';

export interface Suggestion {
  text: string;
  count?: number;
  icon?: string;
  label?: string;
  run?: () => void;
}
export interface Mirror {
  kind: string;
  start: number;
  end: number;
}
export interface QuerySource {
  /** Suggestions for what stands at the cursor; `replace` is the stretch that a pick replaces. */
  suggest: (
    text: string,
    pos: number,
    signal: AbortSignal,
  ) => Promise<{ start: number; end: number; items: Suggestion[] }>;
  /** Colour tokens and the error, if any. */
  parse: (text: string) => { tokens: Mirror[]; error: { why: string; column: number } | null };
  /** Key of the list of recent queries; none = not kept. */
  recent?: string;
}

export function recentQueries(key: string): string[] {
  try {
    return JSON.parse(localStorage.getItem(`yg.recent.${key}`) ?? '[]') as string[];
  } catch {
    return [];
  }
}
function keepRecent(key: string, q: string): void {
  if (!q.trim()) return;
  try {
    localStorage.setItem(
      `yg.recent.${key}`,
      JSON.stringify([q, ...recentQueries(key).filter((x) => x !== q)].slice(0, 8)),
    );
  } catch {
    /* private mode */
  }
}

/** The text in coloured pieces; what follows an error is underlined. */
function mirrorParts(text: string, tokens: Mirror[], errorAt: number | null): VNode[] {
  const out: VNode[] = [];
  let at = 0;
  const push = (a: number, b: number, cls: string): void => {
    if (b > a)
      out.push(
        <span key={`${a}${cls}`} class={cls}>
          {text.slice(a, b)}
        </span>,
      );
  };
  const limit = errorAt ?? text.length;
  for (const k of [...tokens].sort((a, b) => a.start - b.start)) {
    if (k.start < at || k.start >= limit) continue;
    push(at, k.start, '');
    push(
      k.start,
      Math.min(k.end, limit),
      { key: 'k', op: 'op', fn: 'fn', num: 'nu', str: 'nu', text: '' }[k.kind] ?? '',
    );
    at = Math.min(k.end, limit);
  }
  push(at, limit, '');
  if (errorAt !== null) push(errorAt, text.length, 'bad');
  return out;
}

export function QueryBar({
  value,
  source,
  onSubmit,
  placeholder,
  label,
  id = 'query',
  cls = '',
  autoSubmitEmpty = true,
}: {
  value: string;
  source: QuerySource;
  onSubmit: (q: string) => void;
  placeholder?: string;
  label?: string;
  id?: string;
  cls?: string;
  autoSubmitEmpty?: boolean;
}): VNode {
  const [text, setText] = useState(value);
  const [open, setOpen] = useState(false);
  const [items, setItems] = useState<Suggestion[]>([]);
  const [spot, setSpot] = useState({ start: 0, end: 0 });
  const [at, setAt] = useState(-1);
  const [scroll, setScroll] = useState(0);
  const [shownError, setShownError] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const ac = useRef<AbortController | null>(null);
  const timer = useRef(0);
  useEffect(() => {
    setText(value);
    setShownError(false);
  }, [value]);
  const { tokens, error } = source.parse(text);

  const ask = (txt: string, delay: number): void => {
    clearTimeout(timer.current);
    ac.current?.abort();
    const ctl = new AbortController();
    ac.current = ctl;
    timer.current = window.setTimeout(() => {
      const pos = input.current?.selectionStart ?? txt.length;
      source
        .suggest(txt, pos, ctl.signal)
        .then((r) => {
          if (ctl.signal.aborted) return;
          const recent: Suggestion[] =
            source.recent && !txt.trim()
              ? recentQueries(source.recent).map((q) => ({ text: q, icon: 'clock', run: () => submit(q) }))
              : [];
          setItems([...recent, ...r.items].slice(0, 12));
          setSpot({ start: r.start, end: r.end });
          setAt(-1);
        })
        .catch(() => {
          if (!ctl.signal.aborted) setItems([]);
        });
    }, delay);
  };
  const submit = (q: string): void => {
    const p = source.parse(q);
    setText(q);
    setOpen(false);
    if (p.error && q.trim()) {
      setShownError(true);
      return;
    }
    if (!q.trim() && !autoSubmitEmpty) return;
    if (source.recent) keepRecent(source.recent, q);
    onSubmit(q);
  };
  const take = (s: Suggestion): void => {
    if (s.run) {
      s.run();
      setOpen(false);
      return;
    }
    const next = text.slice(0, spot.start) + s.text + text.slice(spot.end);
    setText(next);
    setAt(-1);
    setItems([]);
    const pos = spot.start + s.text.length;
    requestAnimationFrame(() => {
      input.current?.setSelectionRange(pos, pos);
      input.current?.focus();
      ask(next, 0);
    });
  };
  const key = (e: KeyboardEvent): void => {
    if (e.isComposing || e.keyCode === 229) return;
    const n = items.length;
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      if (!open) {
        setOpen(true);
        ask(text, 0);
        return;
      }
      if (n) setAt((x) => (e.key === 'ArrowDown' ? (x + 1) % n : x <= 0 ? n - 1 : x - 1));
    } else if (e.key === 'Enter') {
      e.preventDefault();
      const s = open ? items[at] : undefined;
      if (s) take(s);
      else submit(text);
    } else if (e.key === 'Tab' && open && n && at >= 0) {
      e.preventDefault();
      take(items[at] as Suggestion);
    } else if (e.key === 'Escape') {
      e.preventDefault();
      e.stopPropagation();
      if (open) setOpen(false);
      else {
        setText(value);
        setShownError(false);
        input.current?.blur();
      }
    }
  };
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      ac.current?.abort();
    },
    [],
  );
  useEffect(() => {
    if (at >= 0) document.getElementById(`${id}-opt-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [at]);
  const bad = error && text.trim() && shownError ? error : null;
  const underline = error && text.trim() && document.activeElement !== input.current ? error : bad;
  return (
    <form
      class={`qbar ${cls} ${bad ? 'is-bad' : ''}`}
      role="search"
      onSubmit={(e) => {
        e.preventDefault();
        submit(text);
      }}
      onBlurCapture={(e) => {
        if (!e.currentTarget.contains(e.relatedTarget as globalThis.Node | null)) setOpen(false);
      }}
    >
      <Icon n="search" />
      <div class="in">
        <div class="mirror" aria-hidden="true">
          <span style={{ transform: `translateX(${-scroll}px)`, display: 'inline-block' }}>
            {mirrorParts(text, tokens, underline ? Math.min(underline.column - 1, Math.max(0, text.length - 1)) : null)}
          </span>
        </div>
        <input
          ref={input}
          id={id}
          class={text ? 'mirrored' : ''}
          role="combobox"
          aria-label={label ?? t('query')}
          aria-expanded={open && items.length > 0}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={at >= 0 ? `${id}-opt-${at}` : undefined}
          aria-invalid={!!bad}
          aria-describedby={bad ? `${id}-err` : undefined}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          value={text}
          placeholder={placeholder}
          onInput={(e) => {
            setText(e.currentTarget.value);
            setShownError(false);
            setOpen(true);
            ask(e.currentTarget.value, 100);
          }}
          onFocus={() => {
            ask(text, 0);
          }}
          onClick={() => {
            setOpen(true);
            ask(text, 0);
          }}
          onScroll={(e) => setScroll(e.currentTarget.scrollLeft)}
          onKeyDown={key}
          onKeyUp={(e) => setScroll(e.currentTarget.scrollLeft)}
        />
      </div>
      {text && text !== value ? (
        <button class="btn sm run" type="submit">
          {t('run')}
          <span class="kbd" aria-hidden="true">
            ↵
          </span>
        </button>
      ) : text ? (
        <button
          class="iconbtn sm"
          type="button"
          aria-label={t('clear_query')}
          onClick={() => {
            setText('');
            submit('');
            input.current?.focus();
          }}
        >
          <Icon n="close" cls="s14" />
        </button>
      ) : (
        <span class="kbd hide-narrow" aria-hidden="true">
          /
        </span>
      )}
      {open && (items.length > 0 || bad) ? (
        <div class="pop qpop" id={`${id}-list`} role="listbox" aria-label={t('suggestions')}>
          {items.map((s, i) => (
            <div
              key={s.text + i}
              id={`${id}-opt-${i}`}
              class="opt"
              role="option"
              aria-selected={i === at}
              onPointerDown={(e) => {
                e.preventDefault();
                take(s);
              }}
              onPointerMove={() => setAt(i)}
            >
              <Icon n={s.icon ?? 'filter'} cls="s14" />
              <code class="cut">{s.label ?? s.text}</code>
              {s.count !== undefined ? <span class="end t3 fs12">{fmtCount(s.count)}</span> : null}
            </div>
          ))}
        </div>
      ) : null}
      {bad ? (
        <div class="pop qpop qerr" id={`${id}-err`} role="alert">
          <Icon n="st-error" cls="s14" />
          <span>
            {t(`q.err.${bad.why}`)} <span class="t3">{t('err.column', { c: bad.column })}</span>
          </span>
        </div>
      ) : null}
    </form>
  );
}

/** Suggestions for event search from facets of a track. */
export function searchSource(
  track: 'logs' | 'spans' | 'traces',
  keys: () => string[],
  values: (key: string, prefix: string, signal: AbortSignal) => Promise<{ value: string; count: number }[]>,
): QuerySource {
  return {
    parse: parseSearch,
    recent: track,
    suggest: async (text, pos, signal) => {
      const s = spotAt(text, pos);
      if (s.kind === 'value') {
        const list = await values(s.key, s.prefix.replace(/"$/, ''), signal);
        return { start: s.start, end: s.end, items: list.map((v) => ({ text: quoteValue(v.value), count: v.count })) };
      }
      const p = s.prefix.toLowerCase().replace(/^@/, '');
      const list = keys()
        .filter((k) => k.toLowerCase().replace(/^@/, '').includes(p))
        .slice(0, 10);
      return { start: s.start, end: s.end, items: list.map((k) => ({ text: `${k}:`, icon: 'filter' })) };
    },
  };
}
