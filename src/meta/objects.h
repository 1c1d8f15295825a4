// SPDX-License-Identifier: Apache-2.0
// Monitors, webhooks, Slack accounts, monitor state, outbox. Part of meta/meta.h; owned by its developer.
#ifndef YG_META_OBJECTS_H
#define YG_META_OBJECTS_H

#endif
