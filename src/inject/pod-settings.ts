/*
 * The settings of one pod's agent: those of the installation, changed by annotations of the pod within the bounds that the
 * operator sets.
 */
import {
  AGENT_ADMIN_PORT,
  AGENT_CANARY_PORT,
  AGENT_CAPTURE_PORT,
  APP_PROTOCOLS,
  TLS_FILE_NAME,
  TLS_MODES,
} from '../api/kube/agent-contract.ts';
import type { ResourceRequirements, TlsSettings } from '../api/kube/agent-settings.ts';
import {
  ACCEPT_HTTP10_ANNOTATION,
  ACCESS_LOG_ANNOTATION,
  ACCESS_LOG_SAMPLE_RATE_ANNOTATION,
  AGENT_CPU_ANNOTATION,
  AGENT_CPU_LIMIT_ANNOTATION,
  AGENT_MEMORY_ANNOTATION,
  AGENT_MEMORY_LIMIT_ANNOTATION,
  APP_PROTOCOL_ANNOTATION,
  DRAIN_SECONDS_ANNOTATION,
  INIT_CPU_ANNOTATION,
  INIT_CPU_LIMIT_ANNOTATION,
  INIT_MEMORY_ANNOTATION,
  INIT_MEMORY_LIMIT_ANNOTATION,
  LOG_LEVEL_ANNOTATION,
  MAX_CONNECTIONS_ANNOTATION,
  PROFILING_PORT_ANNOTATION,
  READINESS_FAILURES_ANNOTATION,
  READINESS_PERIOD_ANNOTATION,
  READINESS_TIMEOUT_ANNOTATION,
  REEVALUATE_STREAMS_ANNOTATION,
  STARTUP_FAILURES_ANNOTATION,
  TLS_ANNOTATION,
  TLS_FILES_ANNOTATION,
  TLS_SECRET_ANNOTATION,
  TLS_VOLUME_ANNOTATION,
} from '../api/kube/names.ts';
import { parseQuantity } from '../api/kube/quantity.ts';
import type { Finding } from '../errors.ts';
import { LIMITS } from '../limits/agent-limits.ts';
import { type Raw, stringOf } from './raw-json.ts';
import { DEFAULT_AGENT_RESOURCES, DEFAULT_INIT_RESOURCES, type InjectionSettings } from './settings.ts';

/** The settings of one pod's agent. */
export interface PodSettings {
  readonly settings: InjectionSettings;
  /** Errors: annotations with an invalid value. Warnings: values that were clamped. */
  readonly findings: readonly Finding[];
  /** What was clamped, one sentence each. */
  readonly clamped: readonly string[];
}

const LEVELS: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];
const AGENT_RESOURCES: ResourceRows = [
  [AGENT_CPU_ANNOTATION, 'requests', 'cpu'],
  [AGENT_MEMORY_ANNOTATION, 'requests', 'memory'],
  [AGENT_CPU_LIMIT_ANNOTATION, 'limits', 'cpu'],
  [AGENT_MEMORY_LIMIT_ANNOTATION, 'limits', 'memory'],
];
const INIT_RESOURCES: ResourceRows = [
  [INIT_CPU_ANNOTATION, 'requests', 'cpu'],
  [INIT_MEMORY_ANNOTATION, 'requests', 'memory'],
  [INIT_CPU_LIMIT_ANNOTATION, 'limits', 'cpu'],
  [INIT_MEMORY_LIMIT_ANNOTATION, 'limits', 'memory'],
];
const OBJECT_NAME = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;
const PROBE: Range = { min: 1, max: 3600, whole: true };
/** The agent is not root. */
const OWN_PORT: Range = { min: 1024, max: 65_535, whole: true };
const AGENT_PORTS: readonly number[] = [AGENT_CAPTURE_PORT, AGENT_CANARY_PORT, AGENT_ADMIN_PORT];
const DRAIN: Range = { min: 0, max: 3600, whole: false };
const CONNECTIONS: Range = { min: 1, max: 1_000_000, whole: true };

/** Applies the annotations of a pod. Each is optional; an invalid one is an error, and the pod must not be admitted. */
export function settingsOfPod(settings: InjectionSettings, annotations: Raw): PodSettings {
  const reader = new AnnotationReader(annotations);
  const { bounds = {} } = settings;
  const maxDrain = bounds.drainSeconds ?? settings.drainSeconds ?? LIMITS.drainTime.value / 1000;
  const maxConnections = bounds.maxConnections ?? settings.maxConnections ?? LIMITS.clientConnections.value;
  const resources = reader.resources(AGENT_RESOURCES, settings.resources ?? DEFAULT_AGENT_RESOURCES, settings);
  // One key for both containers, unless the init container has its own: a quota on limits counts both.
  const inherited = settings.initResources === undefined ? (resources ?? settings.resources) : undefined;
  const initBase = settings.initResources ?? inherited ?? DEFAULT_INIT_RESOURCES;
  const changed: Changes = {
    logLevel: reader.choice(LOG_LEVEL_ANNOTATION, LEVELS),
    accessLogSampleRate: reader.number(ACCESS_LOG_SAMPLE_RATE_ANNOTATION, { min: 0, max: 1, whole: false }),
    acceptHttp10: reader.choice(ACCEPT_HTTP10_ANNOTATION, ['on', 'off']),
    reevaluateStreams: reader.choice(REEVALUATE_STREAMS_ANNOTATION, ['on', 'off']),
    profilingPort: reader.ownPort(PROFILING_PORT_ANNOTATION),
    appProtocol: reader.choice(APP_PROTOCOL_ANNOTATION, APP_PROTOCOLS),
    ...reader.accessLog(settings),
    drainSeconds: reader.clampedNumber(DRAIN_SECONDS_ANNOTATION, DRAIN, maxDrain),
    maxConnections: reader.clampedNumber(MAX_CONNECTIONS_ANNOTATION, CONNECTIONS, maxConnections),
    tls: reader.tls(settings.tls),
    resources,
    initResources: reader.resources(INIT_RESOURCES, initBase, settings) ?? inherited,
    startupProbe: mergeTiming(settings.startupProbe, { failureThreshold: reader.number(STARTUP_FAILURES_ANNOTATION, PROBE) }),
    readinessProbe: mergeTiming(settings.readinessProbe, {
      periodSeconds: reader.number(READINESS_PERIOD_ANNOTATION, PROBE),
      timeoutSeconds: reader.number(READINESS_TIMEOUT_ANNOTATION, PROBE),
      failureThreshold: reader.number(READINESS_FAILURES_ANNOTATION, PROBE),
    }),
  };
  return { settings: { ...settings, ...defined(changed) }, findings: reader.findings, clamped: reader.clamped };
}

type Changes = { readonly [K in keyof InjectionSettings]?: InjectionSettings[K] | undefined };

interface Range {
  readonly min: number;
  readonly max: number;
  readonly whole: boolean;
}

type ResourceRows = readonly (readonly [annotation: string, part: 'requests' | 'limits', resource: 'cpu' | 'memory'])[];

class AnnotationReader {
  readonly findings: Finding[] = [];
  readonly clamped: string[] = [];
  readonly #annotations: Raw;

  constructor(annotations: Raw) {
    this.#annotations = annotations;
  }

  choice(name: string, allowed: readonly string[]): string | undefined {
    const text = this.#text(name);
    if (text === undefined || allowed.includes(text)) return text;
    return this.#refuse(name, text, `one of ${allowed.join(', ')}`);
  }

  number(name: string, { min, max, whole }: Range): number | undefined {
    const text = this.#text(name);
    if (text === undefined) return undefined;
    const value = /^[0-9]+(?:\.[0-9]+)?$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
    return this.#refuse(name, text, `${whole ? 'an integer' : 'a number'} from ${min} to ${max}`);
  }

  /** A port that the agent listens on besides those of every agent. */
  ownPort(name: string): number | undefined {
    const port = this.number(name, OWN_PORT);
    if (port === undefined || !AGENT_PORTS.includes(port)) return port;
    return this.#refuse(name, String(port), `free: ${AGENT_PORTS.join(', ')} are ports of every agent`);
  }

  /** A number above `bound` becomes `bound`. */
  clampedNumber(name: string, range: Range, bound: number): number | undefined {
    const value = this.number(name, range);
    if (value === undefined || value <= bound) return value;
    this.#clamp(name, `${value} is above the limit of ${bound}, which is used`);
    return bound;
  }

  /** `off` would hide denials, so by default it only hides allowed requests. */
  accessLog({ accessLog, bounds = {} }: InjectionSettings): Pick<Changes, 'accessLog' | 'accessLogSampleRate'> {
    const value = this.choice(ACCESS_LOG_ANNOTATION, ['on', 'off']);
    if (value === undefined) return {};
    if (value === 'on') return { accessLog: 'on' };
    if (accessLog === 'off' || bounds.accessLogOff === true) return { accessLog: 'off' };
    this.#clamp(ACCESS_LOG_ANNOTATION, 'denied requests are logged nevertheless; allowed ones are not');
    return { accessLogSampleRate: 0 };
  }

  /** The resources of a container; undefined: no annotation changes them. */
  resources(rows: ResourceRows, base: ResourceRequirements, { bounds = {} }: InjectionSettings): ResourceRequirements | undefined {
    let changed: ResourceRequirements | undefined;
    for (const [name, part, resource] of rows) {
      const text = this.#text(name);
      if (text === undefined) continue;
      const value = parseQuantity(text);
      if (value === undefined) {
        this.#refuse(name, text, 'a quantity such as 100m or 64Mi');
        continue;
      }
      const bound = bounds[`${resource}Limit`] ?? base.limits?.[resource];
      const isAbove = bound !== undefined && value > (parseQuantity(bound) ?? Number.POSITIVE_INFINITY);
      if (isAbove) this.#clamp(name, `${text} is above the limit of ${bound}, which is used`);
      changed = withResource(changed ?? base, { part, resource, quantity: isAbove ? bound : text });
    }
    return changed === undefined ? undefined : withoutLargerRequests(changed);
  }

  /** How TLS is terminated; undefined: no annotation changes it. A pod may be stricter than the installation, whose certificates count if it has any. */
  tls(base: TlsSettings | undefined): TlsSettings | undefined {
    const wanted = this.choice(TLS_ANNOTATION, TLS_MODES);
    const files = this.#tlsFiles();
    const source = this.#tlsSource(base);
    if (wanted === undefined && files === undefined && source === undefined) return undefined;
    const least = base?.mode ?? 'off';
    const isWeaker = wanted !== undefined && TLS_MODES.indexOf(wanted as TlsSettings['mode']) < TLS_MODES.indexOf(least);
    if (isWeaker) this.#clamp(TLS_ANNOTATION, `${wanted} is weaker than ${least}, which is used`);
    const mode = wanted === undefined || isWeaker ? least : (wanted as TlsSettings['mode']);
    if (mode !== 'off' && base?.volume === undefined && source === undefined)
      return this.#refuse(TLS_ANNOTATION, mode, `possible without ${TLS_SECRET_ANNOTATION} or ${TLS_VOLUME_ANNOTATION}`);
    return { ...base, ...source, ...files, mode };
  }

  #tlsSource(base: TlsSettings | undefined): Pick<TlsSettings, 'volume' | 'podVolume'> | undefined {
    const secretName = this.#name(TLS_SECRET_ANNOTATION);
    const podVolume = this.#name(TLS_VOLUME_ANNOTATION);
    if (secretName === undefined && podVolume === undefined) return undefined;
    const name = secretName === undefined ? TLS_VOLUME_ANNOTATION : TLS_SECRET_ANNOTATION;
    if (base?.volume !== undefined) {
      this.#clamp(name, 'the volume of the installation is used');
      return undefined;
    }
    if (podVolume === undefined) return { volume: { secret: { secretName } } };
    return secretName === undefined ? { podVolume } : this.#refuse(name, secretName, `possible together with ${TLS_VOLUME_ANNOTATION}`);
  }

  #tlsFiles(): Pick<TlsSettings, 'certificate' | 'key' | 'trustBundle'> | undefined {
    const text = this.#text(TLS_FILES_ANNOTATION);
    if (text === undefined) return undefined;
    const [certificate = '', key = '', trustBundle = '', ...rest] = text.split(',').map((name) => name.trim());
    const isValid = rest.length === 0 && [certificate, key, trustBundle].every((name) => TLS_FILE_NAME.test(name));
    if (isValid) return { certificate, key, trustBundle };
    return this.#refuse(TLS_FILES_ANNOTATION, text, 'three file names, such as tls.crt,tls.key,ca.crt');
  }

  #name(annotation: string): string | undefined {
    const text = this.#text(annotation);
    if (text === undefined || OBJECT_NAME.test(text)) return text;
    return this.#refuse(annotation, text, 'a name');
  }

  #clamp(name: string, what: string): void {
    this.clamped.push(`${name}: ${what}`);
    this.findings.push({ code: 'SP_ANNOTATION', severity: 'warning', path: `metadata.annotations[${name}]`, message: what });
  }

  #text(name: string): string | undefined {
    const text = stringOf(this.#annotations[name])?.trim();
    return text === '' ? undefined : text;
  }

  #refuse(name: string, text: string, expected: string): undefined {
    const path = `metadata.annotations[${name}]`;
    this.findings.push({ code: 'SP_ANNOTATION', severity: 'error', path, message: `"${text}" is not ${expected}` });
    return undefined;
  }
}

function withResource(
  base: ResourceRequirements,
  { part, resource, quantity }: { readonly part: 'requests' | 'limits'; readonly resource: string; readonly quantity: string },
): ResourceRequirements {
  return { ...base, [part]: { ...base[part], [resource]: quantity } };
}

/** The API server refuses a request above its limit, for example when an annotation lowers only the limit. */
function withoutLargerRequests(resources: ResourceRequirements): ResourceRequirements {
  const { requests = {}, limits = {} } = resources;
  const lowered = Object.entries(requests).map(([resource, quantity]) => {
    const limit = limits[resource];
    const isLarger = limit !== undefined && (parseQuantity(quantity) ?? 0) > (parseQuantity(limit) ?? Number.POSITIVE_INFINITY);
    return [resource, isLarger ? limit : quantity];
  });
  return { ...resources, requests: Object.fromEntries(lowered) };
}

type Timing = NonNullable<InjectionSettings['readinessProbe']>;

function mergeTiming(base: Timing | undefined, changes: { readonly [K in keyof Timing]?: number | undefined }): Timing | undefined {
  const changed = defined(changes);
  return Object.keys(changed).length === 0 ? undefined : { ...base, ...changed };
}

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
