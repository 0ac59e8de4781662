/*
 * Reads what agents say. Apart from the protocol, because only the controller does.
 */
import * as z from 'zod/mini';
import { parsePayload } from './parse-payload.ts';
import { type AgentReport, FETCHED_KEY_SET, type UnknownKeys } from './protocol.ts';

const reportSchema: z.ZodMiniType<AgentReport> = z.strictObject({
  digest: z.string().check(z.regex(/^(?:sha256:[0-9a-f]{64})?$/)),
  number: z.int().check(z.minimum(0)),
  received: z.int().check(z.minimum(0)),
  missing: z.exactOptional(z.literal(true)),
  refused: z.exactOptional(z.string().check(z.regex(/^SP_[A-Z_]{1,40}$/))),
});

const unknownKeysSchema = z.record(z.string().check(z.regex(FETCHED_KEY_SET)), z.string().check(z.regex(/^[0-9a-f]{16}$/)));

/** The report in a payload; undefined: it is not one. */
export function parseReport(payload: Buffer): AgentReport | undefined {
  return parsePayload(reportSchema, payload);
}

/** The unknown keys in a payload; undefined: it has none. */
export function parseUnknownKeys(payload: Buffer): UnknownKeys | undefined {
  const parsed = parsePayload(unknownKeysSchema, payload);
  return parsed === undefined ? undefined : new Map(Object.entries(parsed));
}
