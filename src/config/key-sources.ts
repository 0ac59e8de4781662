/*
 * Schema of the addresses inside the cluster from which keys may be fetched, for the configuration and the chart's values.
 */
import * as z from 'zod';
import { DESCRIPTIONS } from './descriptions.ts';
import { ipBlockSchema, namespaceSchema } from './mesh.ts';

/** One rule for addresses inside the cluster. */
interface InternalSource {
  cidrs: string[];
  /** Absent: all namespaces. */
  namespaces?: string[];
}

/** Rules for addresses inside the cluster; an empty array: none may be dialled. */
export const internalSources: z.ZodType<InternalSource[], InternalSource[]> = z
  .array(
    z.strictObject({
      cidrs: z.array(ipBlockSchema).meta({ description: DESCRIPTIONS.jwksInternalSourceCidrs }),
      namespaces: z.array(namespaceSchema).exactOptional().meta({ description: DESCRIPTIONS.jwksInternalSourceNamespaces }),
    }),
  )
  .meta({ description: DESCRIPTIONS.jwksInternalSources });
