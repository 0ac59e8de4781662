/*
 * Schemas of the settings of injected agents that the controller's configuration and the chart's values have in common.
 */
import * as z from 'zod';
import { isTracesEndpoint, TLS_FILE_NAME, TLS_MODES, TRACES_SAMPLERS, type TracesSampler } from '../api/kube/agent-contract.ts';
import type { AnnotationBounds, ProbeTiming, TlsSettings } from '../api/kube/agent-settings.ts';
import { DESCRIPTIONS } from './descriptions.ts';
import { QUANTITY } from './patterns.ts';

const count = z.int().min(1).max(3600);
const quantity = z.union([z.string().regex(QUANTITY, 'not a quantity such as 100m or 64Mi'), z.number().min(0).transform(String)]);

/** Schema of {@link ProbeTiming}. */
export const probeTiming: z.ZodType<ProbeTiming> = z.strictObject({
  periodSeconds: count.exactOptional().meta({ description: 'Seconds between two probes' }),
  timeoutSeconds: count.exactOptional().meta({ description: 'Seconds until a probe counts as failed' }),
  failureThreshold: count.exactOptional().meta({ description: 'Failed probes in a row that count' }),
});

/** Whether the agent writes access log lines. */
export const accessLog: z.ZodEnum<{ on: 'on'; off: 'off' }> = z.enum(['on', 'off']).meta({ description: DESCRIPTIONS.agentAccessLog });
/** Share of allowed requests that are logged. */
export const accessLogSampleRate: z.ZodNumber = z.number().min(0).max(1).meta({ description: DESCRIPTIONS.agentAccessLogSampleRate });
/** Seconds that open requests have to finish. */
export const drainSeconds: z.ZodNumber = z.number().min(0).max(3600).meta({ description: DESCRIPTIONS.agentDrainSeconds });
/** Maximum number of client connections. */
export const maxConnections: z.ZodInt = z.int().min(1).max(1_000_000).meta({ description: DESCRIPTIONS.agentMaxConnections });

/** Where agents send traces. */
export const tracesEndpoint: z.ZodString = z
  .string()
  .refine(isTracesEndpoint, { error: 'not an http or https URL without credentials and query' })
  .meta({ description: DESCRIPTIONS.agentTracesEndpoint });
/** Which requests agents trace. */
export const tracesSampler: z.ZodEnum<{ [K in TracesSampler]: K }> = z
  .enum(TRACES_SAMPLERS)
  .meta({ description: DESCRIPTIONS.agentTracesSampler });
/** Share of traces, for samplers by ratio. */
export const tracesSamplerArg: z.ZodNumber = z.number().min(0).max(1).meta({ description: DESCRIPTIONS.agentTracesSamplerArg });
const fileName = z.string().regex(TLS_FILE_NAME, 'not a file name');

/** Schema of {@link TlsSettings}. */
export const agentTls: z.ZodType<Omit<TlsSettings, 'podVolume'>> = z
  .strictObject({
    mode: z.enum(TLS_MODES).meta({
      description:
        'Whether agents terminate mutual TLS: `strict` (plain text is closed), `permissive` (plain text is served, too) or `off`; annotations may be stricter',
    }),
    volume: z
      .union([
        z.strictObject({ csi: z.record(z.string(), z.unknown()) }),
        z.strictObject({ secret: z.record(z.string(), z.unknown()) }),
        z.strictObject({ projected: z.record(z.string(), z.unknown()) }),
      ])
      .exactOptional()
      .meta({
        description:
          'Source of the volume with the certificate of each agent, as in a pod: `csi`, `secret` or `projected`; absent: annotations name a Secret or a volume of the pod',
      }),
    certificate: fileName.exactOptional().meta({ description: 'File with the certificate and its chain in PEM; absent: `tls.crt`' }),
    key: fileName.exactOptional().meta({ description: 'File with the key in PEM; absent: `tls.key`' }),
    trustBundle: fileName.exactOptional().meta({ description: 'File with the authorities of clients in PEM; absent: `ca.crt`' }),
  })
  .refine(({ mode, volume }) => mode === 'off' || volume !== undefined, { path: ['volume'], error: 'required unless the mode is off' });

/** Schema of {@link AnnotationBounds}. */
export const annotationBounds: z.ZodType<AnnotationBounds> = z.strictObject({
  accessLogOff: z
    .boolean()
    .exactOptional()
    .meta({ description: 'Allows annotations to switch off the records of denied requests; absent: false' }),
  excludePorts: z.enum(['all', 'exceptRootPolicies']).exactOptional().meta({
    description:
      'Ports that annotations may exclude: `all`, or none of a pod that a policy of the root namespace selects (`exceptRootPolicies`, the default)',
  }),
  maxConnections: z
    .int()
    .min(1)
    .max(1_000_000)
    .exactOptional()
    .meta({ description: 'Largest number of client connections that an annotation may set; absent: that of the installation' }),
  drainSeconds: z
    .number()
    .min(0)
    .max(3600)
    .exactOptional()
    .meta({ description: 'Longest drain time that an annotation may set; absent: that of the installation' }),
  cpuLimit: quantity
    .exactOptional()
    .meta({ description: 'Largest CPU request and limit that an annotation may set; absent: the limit of the installation' }),
  memoryLimit: quantity
    .exactOptional()
    .meta({ description: 'Largest memory request and limit that an annotation may set; absent: the limit of the installation' }),
});
