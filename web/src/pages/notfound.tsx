// SPDX-License-Identifier: Apache-2.0
// A path that is no page.
import type { VNode } from 'preact';
import { t } from '../lib/i18n';
import { href } from '../lib/router';
import { useView } from '../lib/view';
import { Frame } from '../ui/frame';
import { Empty } from '../ui/states';

export default function NotFound(): VNode {
  const v = useView();
  return (
    <Frame v={v} page="" title={t('nf.title')} noTime scope={<code class="t2 cut">{v.loc.path}</code>}>
      <Empty
        icon="gap"
        title={t('nf.head')}
        acts={
          <>
            <a class="btn sm primary" href={href('/')}>
              {t('nav.home')}
            </a>
            <a class="btn sm" href={href('/traces')}>
              {t('nav.traces')}
            </a>
          </>
        }
      >
        {t('nf.body')}
      </Empty>
    </Frame>
  );
}
