// SPDX-License-Identifier: Apache-2.0
export interface SpanIn {
    id: bigint;
    parent: bigint;
    service: string;
    name: string;
    resource: string;
    start: number;
    dur: number;
    type?: string;
    flags?: number;
}
export function encodeTrace(traceId: string, baseNs: bigint, spans: SpanIn[], env?: string): ArrayBuffer;
