// SPDX-License-Identifier: Apache-2.0
// The room's one header: event queries (query/events.h) and metric queries (query/metric.h) over
// the store.
#ifndef YG_QUERY_QUERY_H
#define YG_QUERY_QUERY_H

#include "query/events.h"
#include "query/metric.h"
#include "query/trace_search.h"

#endif
