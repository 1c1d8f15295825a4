// SPDX-License-Identifier: Apache-2.0
// Time picker: typed input, presets, zone; arrows, zoom and live beside it.
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { serverNow } from '../lib/boot';
import { t } from '../lib/i18n';
import { setParams } from '../lib/router';
import { fmtRange, isRelative, pageZone, parseTyped, PRESETS } from '../lib/time';
import { moveRange, refresh, setLive, type View } from '../lib/view';
import { Icon } from './icon';
import { Popover } from './popover';

export function rangeWord(from: string, to: string): string {
  const m = isRelative(from, to) ? /^now-(\d+)([smhdw])$/.exec(from) : null;
  return m ? t(`time.past.${m[2]}`, { n: Number(m[1]) }) : t('time.fixed');
}

export function TimePick({ v }: { v: View }): VNode {
  const btn = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const [text, setText] = useState('');
  const [bad, setBad] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (open) {
      setText('');
      setBad(false);
      requestAnimationFrame(() => input.current?.focus());
    }
  }, [open]);
  useEffect(() => {
    const f = (): void => setOpen(true);
    addEventListener('yg:time', f);
    return () => removeEventListener('yg:time', f);
  }, []);
  const pick = (from: string, to: string): void => {
    setOpen(false);
    setParams({ from, to });
    btn.current?.focus();
  };
  const submit = (e: Event): void => {
    e.preventDefault();
    const b = parseTyped(text, serverNow());
    if (b) pick(b.from, b.to);
    else setBad(true);
  };
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  const rel = isRelative(v.from, v.to);
  return (
    <span class="timepick">
      <button ref={btn} type="button" aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon n="clock" cls="s14" />
        <span>{rangeWord(v.from, v.to)}</span>
        <span class="zone">{fmtRange(v.range.from_ms, v.range.to_ms, serverNow())}</span>
        <Icon n="down" cls="s12" />
      </button>
      <button
        type="button"
        class="hide-narrow"
        aria-label={t('time.earlier')}
        title="["
        onClick={() => moveRange(v, 'earlier')}
      >
        <Icon n="left" cls="s14" />
      </button>
      <button
        type="button"
        class="hide-narrow"
        aria-label={t('time.later')}
        title="]"
        onClick={() => moveRange(v, 'later')}
      >
        <Icon n="right" cls="s14" />
      </button>
      <button
        type="button"
        class="hide-narrow"
        aria-label={t('time.out')}
        title="-"
        onClick={() => moveRange(v, 'out')}
      >
        <Icon n="minus" cls="s14" />
      </button>
      <button type="button" aria-label={t('time.refresh')} title="r" onClick={refresh}>
        <Icon n="repeat" cls="s14" />
      </button>
      <button
        type="button"
        aria-label={t('time.live')}
        title="."
        aria-pressed={v.live}
        disabled={!rel}
        onClick={() => setLive(!v.live)}
      >
        <Icon n={v.live ? 'pause' : 'live'} cls="s14" />
      </button>
      {open ? (
        <Popover anchor={btn.current} onClose={() => setOpen(false)} label={t('time.pick')} cls="timebox" align="right">
          <form onSubmit={submit} class={`field ${bad ? 'bad' : ''}`}>
            <label for="time-in">{t('time.typed')}</label>
            <input
              id="time-in"
              ref={input}
              class="input"
              value={text}
              placeholder={t('time.examples')}
              autocomplete="off"
              aria-invalid={bad}
              aria-describedby="time-hint"
              onInput={(e) => {
                setText(e.currentTarget.value);
                setBad(false);
              }}
            />
            <span class="hint" id="time-hint">
              {bad ? t('time.bad') : t('time.hint')}
            </span>
          </form>
          <div class="presets">
            {PRESETS.map((p) => (
              <button
                key={p}
                type="button"
                class="opt"
                aria-current={v.from === `now-${p}` && v.to === 'now' ? 'true' : undefined}
                onClick={() => pick(`now-${p}`, 'now')}
              >
                {rangeWord(`now-${p}`, 'now')}
                <span class="end t3">{p}</span>
              </button>
            ))}
          </div>
          <div class="hstack zonerow">
            <span class="t3 fs12 grow">{t('time.zone')}</span>
            <span class="seg sm" role="group" aria-label={t('time.zone')}>
              <button type="button" aria-pressed={pageZone() !== 'UTC'} onClick={() => setParams({ tz: null })}>
                {own}
              </button>
              {own !== 'UTC' ? (
                <button type="button" aria-pressed={pageZone() === 'UTC'} onClick={() => setParams({ tz: 'UTC' })}>
                  UTC
                </button>
              ) : null}
            </span>
          </div>
        </Popover>
      ) : null}
    </span>
  );
}
