/*
 * Reads the reports of agents. Apart from the protocol, because only the controller does.
 */
import * as z from 'zod/mini';
import type { AgentReport } from './protocol.ts';

const reportSchema: z.ZodMiniType<AgentReport> = z.strictObject({
  digest: z.string().check(z.regex(/^(?:sha256:[0-9a-f]{64})?$/)),
  number: z.int().check(z.minimum(0)),
  received: z.int().check(z.minimum(0)),
  refused: z.exactOptional(z.string().check(z.regex(/^SP_[A-Z_]{1,40}$/))),
});

/** The report in a payload; undefined: it is not one. */
export function parseReport(payload: Buffer): AgentReport | undefined {
  try {
    const parsed = reportSchema.safeParse(JSON.parse(payload.toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
