/*
 * Reads JSON that a peer sent. Apart from the protocol, because only controllers check it by a schema.
 */
import type * as z from 'zod/mini';

/** The JSON in a payload; undefined: it is not JSON, or not of the schema. */
export function parsePayload<T>(schema: z.ZodMiniType<T>, payload: Buffer): T | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(payload.toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
