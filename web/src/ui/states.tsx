// SPDX-License-Identifier: Apache-2.0
// Loading, empty, error and partial, always local to their panel.
import type { ComponentChildren, VNode } from 'preact';
import { ApiError, type Query } from '../lib/api';
import { t } from '../lib/i18n';
import { Icon } from './icon';
import { copyText } from './toast';

/** Rows of the real layout in grey; shown only after 120 ms (Query.late). */
export function SkeletonRows({ rows = 12, cols = [96, 0, 120] }: { rows?: number; cols?: number[] }): VNode {
  const template = cols.map((c) => (c ? `${c}px` : 'minmax(0, 1fr)')).join(' ');
  return (
    <div class="skel-rows" aria-hidden="true">
      {Array.from({ length: rows }, (_, r) => (
        <div key={r} class="skel-row" style={{ gridTemplateColumns: template }}>
          {cols.map((c, i) => (
            <i key={i} class="skel" style={c ? {} : { width: `${40 + ((r * 37 + i * 13) % 50)}%` }} />
          ))}
        </div>
      ))}
    </div>
  );
}

export function ErrorPanel({ error, retry }: { error: Error; retry?: () => void }): VNode {
  const api = error instanceof ApiError ? error : null;
  const offline = error instanceof TypeError;
  const text = offline
    ? t('err.offline')
    : api?.status === 401 || api?.status === 403
      ? t('err.access')
      : error.message;
  const detail = [api ? `HTTP ${api.status}` : '', api?.requestId ? `${t('err.request')} ${api.requestId}` : '']
    .filter(Boolean)
    .join(' · ');
  return (
    <div class="callout error panel-error" role="alert">
      <Icon n="st-error" />
      <div class="grow">
        <b>{text}</b>
        {api?.column ? <div class="why fs12">{t('err.column', { c: api.column })}</div> : null}
        {detail ? <div class="why fs12">{detail}</div> : null}
        <div class="hstack acts">
          {retry ? (
            <button class="btn sm" type="button" onClick={retry}>
              {t('retry')}
            </button>
          ) : null}
          <button
            class="btn sm quiet"
            type="button"
            onClick={() => void copyText(`${text} ${detail} ${location.href}`, t('copied'))}
          >
            {t('copy_details')}
          </button>
        </div>
      </div>
    </div>
  );
}

export function Empty({
  icon = 'search',
  title,
  children,
  acts,
}: {
  icon?: string;
  title: ComponentChildren;
  children?: ComponentChildren;
  acts?: ComponentChildren;
}): VNode {
  return (
    <div class="empty">
      <Icon n={icon} />
      <h3>{title}</h3>
      {children ? <p class="fs12">{children}</p> : null}
      {acts ? <div class="acts">{acts}</div> : null}
    </div>
  );
}

/** The common ladder: error without data, skeleton, data (dimmed while newer data loads). */
export function Await<T>({
  q,
  skeleton,
  children,
}: {
  q: Query<T>;
  skeleton?: ComponentChildren;
  children: (d: T) => ComponentChildren;
}): VNode {
  if (q.data === undefined) {
    if (q.error) return <ErrorPanel error={q.error} retry={q.retry} />;
    return (
      <div aria-busy="true" class="await">
        {q.late ? (skeleton ?? <SkeletonRows />) : null}
      </div>
    );
  }
  return (
    <div class={`await ${q.stale && q.loading && q.late ? 'stale' : ''}`} aria-busy={q.loading}>
      {q.error ? <ErrorPanel error={q.error} retry={q.retry} /> : null}
      {children(q.data)}
    </div>
  );
}
