/*
 * Schema of the settings of single key servers, for the configuration and the chart's values. No secret is written here: credentials are
 * references to Secrets.
 */
import * as z from 'zod';
import type { KeyServer, ValueSource } from '../api/key-servers.ts';
import { DESCRIPTIONS } from './descriptions.ts';
import { durationSchema } from './mesh.ts';
import { HEADER_NAME, KEY_SERVER_URL, OBJECT_KEY, PROXY_URL, SUBDOMAIN } from './patterns.ts';

const MAX_SERVERS = 32;
/** Each costs a watch. */
const MAX_OBJECTS = 32;
const MAX_HEADERS = 8;
const MIN_TIMEOUT_MS = 100;
const MAX_TIMEOUT_MS = 30_000;
/** Headers that a fetch sets itself, or that concern the connection. */
const RESERVED: ReadonlySet<string> = new Set(
  'host connection content-length transfer-encoding te trailer upgrade keep-alive proxy-authorization proxy-connection expect accept accept-encoding'.split(
    ' ',
  ),
);

const keyRef = z.strictObject({
  name: z
    .string()
    .max(253)
    .regex(SUBDOMAIN, 'not the name of an object')
    .meta({ description: "Name of the object, in the controller's namespace" }),
  key: z.string().max(253).regex(OBJECT_KEY, 'not a key of a Secret or ConfigMap').meta({ description: 'Key of its data' }),
});
const secretOnly = z.strictObject({ secretKeyRef: keyRef.meta({ description: 'Key of a Secret' }) });
const eitherSource: z.ZodType<ValueSource, ValueSource> = z
  .strictObject({ secretKeyRef: keyRef.exactOptional(), configMapKeyRef: keyRef.exactOptional() })
  .refine(({ secretKeyRef, configMapKeyRef }) => (secretKeyRef === undefined) !== (configMapKeyRef === undefined), {
    error: 'exactly one of secretKeyRef and configMapKeyRef is required',
  })
  .meta({ oneOf: [{ required: ['secretKeyRef'] }, { required: ['configMapKeyRef'] }] });

const header = z.strictObject({
  name: z
    .string()
    .max(128)
    .regex(HEADER_NAME, 'not the name of a header')
    .refine((name) => !RESERVED.has(name.toLowerCase()), { error: 'a header that the fetch sets itself' })
    .meta({ description: DESCRIPTIONS.jwksServerHeaderName }),
  valueFrom: secretOnly.meta({ description: DESCRIPTIONS.jwksServerHeaderValue }),
});

const keyServer = z
  .strictObject({
    url: z
      .string()
      .max(1024)
      .regex(KEY_SERVER_URL, 'not an http(s) URL without credentials, query and fragment')
      .refine((url) => URL.canParse(url), { error: 'not a URL' })
      .meta({ description: DESCRIPTIONS.jwksServerUrl }),
    caBundle: z.string().min(1).exactOptional().meta({ description: DESCRIPTIONS.jwksServerCaBundle }),
    caBundleFrom: eitherSource.exactOptional().meta({ description: DESCRIPTIONS.jwksServerCaBundleFrom }),
    proxy: z
      .string()
      .max(1024)
      .regex(PROXY_URL, 'not the URL of an HTTP proxy without credentials; proxyFrom takes one with credentials from a Secret')
      .exactOptional()
      .meta({ description: DESCRIPTIONS.jwksServerProxy }),
    proxyFrom: secretOnly.exactOptional().meta({ description: DESCRIPTIONS.jwksServerProxyFrom }),
    timeout: durationSchema
      .refine((ms) => ms >= MIN_TIMEOUT_MS && ms <= MAX_TIMEOUT_MS, { error: 'not between 100ms and 30s' })
      .exactOptional()
      .meta({ description: DESCRIPTIONS.jwksServerTimeout }),
    headers: z.array(header).max(MAX_HEADERS).exactOptional().meta({ description: DESCRIPTIONS.jwksServerHeaders }),
  })
  .check(({ value, issues }) => {
    const refuse = (path: string, message: string): void => void issues.push({ code: 'custom', input: value, path: [path], message });
    if (value.caBundle !== undefined && value.caBundleFrom !== undefined) refuse('caBundleFrom', 'caBundle is set, too');
    if (value.proxy !== undefined && value.proxyFrom !== undefined) refuse('proxyFrom', 'proxy is set, too');
    const names = (value.headers ?? []).map(({ name }) => name.toLowerCase());
    if (new Set(names).size < names.length) refuse('headers', 'two headers have the same name');
    if (value.url.startsWith('https:')) return;
    if (names.length > 0) refuse('headers', 'headers would be sent in clear text: the url is not https');
    if (value.caBundle !== undefined || value.caBundleFrom !== undefined) refuse('caBundle', 'without effect: the url is not https');
  });

/** Settings of single servers; two with the same URL are refused. */
export const keyServers: z.ZodType<KeyServer[]> = z
  .array(keyServer)
  .max(MAX_SERVERS, { error: `more than ${MAX_SERVERS} servers` })
  .check(({ value, issues }) => {
    const seen = new Map<string, number>();
    for (const [at, { url }] of value.entries()) {
      const plain = URL.parse(url)?.href.replace(/\/$/, '') ?? url;
      const other = seen.get(plain);
      if (other !== undefined) issues.push({ code: 'custom', input: url, path: [at, 'url'], message: `entry ${other} has the same URL` });
      else seen.set(plain, at);
    }
    const objects = new Set(value.flatMap(objectsOf));
    if (objects.size > MAX_OBJECTS)
      issues.push({ code: 'custom', input: objects.size, message: `refers to more than ${MAX_OBJECTS} Secrets and ConfigMaps` });
  })
  .meta({ description: DESCRIPTIONS.jwksServers });

function objectsOf({ caBundleFrom, proxyFrom, headers = [] }: KeyServer): readonly string[] {
  return [caBundleFrom, proxyFrom, ...headers.map(({ valueFrom }) => valueFrom)].flatMap((source) => {
    const secret = source?.secretKeyRef?.name;
    const configMap = source?.configMapKeyRef?.name;
    return [...(secret === undefined ? [] : [`Secret ${secret}`]), ...(configMap === undefined ? [] : [`ConfigMap ${configMap}`])];
  });
}
