// SPDX-License-Identifier: Apache-2.0
// Icons from the sprite and the seven status glyphs (shape and word first, then hue).
import type { ComponentChildren, VNode } from 'preact';
import sprite from '../../icons.svg';
import { t } from '../lib/i18n';

/** Puts the sprite into the page once; its inline style attribute is dropped because the CSP forbids those. */
export function mountSprite(): void {
  const box = document.createElement('div');
  box.className = 'sprite';
  box.setAttribute('aria-hidden', 'true');
  box.innerHTML = sprite.replace(' style="display:none"', '');
  document.body.prepend(box);
}

export function Icon({ n, cls = '' }: { n: string; cls?: string }): VNode {
  return (
    <svg class={`ico ${cls}`} aria-hidden="true">
      <use href={`#i-${n}`} />
    </svg>
  );
}

export type StatusKind = 'error' | 'warn' | 'ok' | 'nodata' | 'info' | 'muted' | 'half';

/** A glyph with its word; `bare` hides the word from sight, not from screen readers. */
export function St({
  k,
  word,
  bare,
  cls = '',
}: {
  k: StatusKind;
  word?: ComponentChildren;
  bare?: boolean;
  cls?: string;
}): VNode {
  return (
    <span class={`st c-${k === 'half' ? 'warn' : k} ${cls}`}>
      <Icon n={`st-${k}`} />
      {bare ? <span class="sr">{word ?? t(`st.${k}`)}</span> : <span>{word ?? t(`st.${k}`)}</span>}
    </span>
  );
}

/** Log status word → glyph kind. */
export function logKind(status: string | undefined): StatusKind {
  const s = (status ?? 'info').toLowerCase();
  if (/^(error|err|critical|crit|alert|emergency|emerg|fatal)/.test(s)) return 'error';
  if (/^warn/.test(s)) return 'warn';
  if (s === 'ok') return 'ok';
  if (/^(debug|trace)/.test(s)) return 'nodata';
  return 'info';
}

/** Monitor state word → glyph kind. */
export function stateKind(state: string | undefined): StatusKind {
  switch (state) {
    case 'Alert':
      return 'error';
    case 'Warn':
      return 'warn';
    case 'OK':
      return 'ok';
    case 'Ignored':
    case 'Skipped':
      return 'muted';
    default:
      return 'nodata';
  }
}
export function stateWord(state: string | undefined): string {
  const key = { Alert: 'alert', Warn: 'warn', OK: 'ok', 'No Data': 'nodata', Ignored: 'ignored', Skipped: 'skipped' }[
    state ?? ''
  ];
  return key ? t(`state.${key}`) : state || t('state.new');
}
