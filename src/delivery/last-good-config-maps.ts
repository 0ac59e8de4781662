/*
 * The records of last good versions as signed ConfigMaps next to the bundles.
 */
import { BUNDLE_LABEL, BUNDLE_NAME_PREFIX, FIELD_MANAGER, MANAGED_BY, MANAGED_BY_LABEL } from '../api/kube/names.ts';
import { CONFIG_MAP_LIMIT_BYTES } from '../bundle/encode.ts';
import { parseJws } from '../bundle/jws.ts';
import { openDocument, type SignedFiles, signDocument } from '../bundle/signed-document.ts';
import { nextNumber, type Signer } from '../bundle/signer.ts';
import { LAST_VALID_STATEMENT } from '../bundle/statement.ts';
import { applyObject, deleteObject } from '../cluster/apply.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import { listObjects } from '../cluster/list-objects.ts';
import { CONFIG_MAPS, type ObjectRef } from '../cluster/paths.ts';
import { RefusedError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { formatRecord, type LastGoodStore, MAX_RECORD_BYTES, type Manifests, parseRecord } from './last-good-store.ts';

/** Name of the ConfigMap in each namespace. */
const NAME = `${BUNDLE_NAME_PREFIX}last-valid.0`;
/** Value of the label that bundles have, too. */
const LABEL_VALUE = 'last-valid';

/** Parts of a store in ConfigMaps. */
export interface LastGoodConfigMapOptions {
  readonly client: KubeClient;
  /** Undefined: there are no keys, so no record is read or written. */
  readonly signer: () => Signer | undefined;
  readonly wallMs: () => number;
  readonly logger: Logger;
}

/** A record as it is stored, and the key that signed it. */
interface KnownRecord {
  readonly json: string;
  readonly number: number;
  readonly kid: string;
}

/** A store in the cluster that `client` talks to. */
export function createLastGoodConfigMaps(options: LastGoodConfigMapOptions): LastGoodStore {
  /** Text of the records that this process read or wrote last. */
  const known = new Map<string, KnownRecord>();
  return {
    read: async (signal) => {
      const found = new Map<string, Manifests>();
      const signer = options.signer();
      if (signer === undefined) return found;
      const visit = (raw: RawObject): void => {
        const { namespace, name } = raw.metadata ?? {};
        if (namespace === undefined || name !== NAME) return;
        const opened = open(raw, namespace, { signer, options });
        const manifests = opened === undefined ? undefined : parseRecord(namespace, opened.json);
        if (opened === undefined || manifests === undefined) return;
        known.set(namespace, opened);
        found.set(namespace, manifests);
      };
      await listObjects(options.client, { resource: CONFIG_MAPS, labelSelector: `${BUNDLE_LABEL}=${LABEL_VALUE}` }, visit, signal);
      return found;
    },
    write: async (namespace, manifests, signal) => {
      const signer = options.signer();
      const before = known.get(namespace);
      if (signer === undefined || (manifests.length === 0 && before === undefined)) return;
      if (manifests.length === 0) {
        await deleteObject(options.client, refOf(namespace), { signal });
        known.delete(namespace);
        return;
      }
      const number = nextNumber(before?.number ?? 0, options.wallMs());
      const subject = { schema: LAST_VALID_STATEMENT, namespace, number } as const;
      const fits = (json: string): boolean => signDocument(json, subject, signer).part.length <= CONFIG_MAP_LIMIT_BYTES / 2;
      const json = formatRecord(namespace, manifests, fits);
      // One that a former key signed is signed again, before lists of keys leave that key out.
      if (json === before?.json && before.kid === signer.kid) return;
      await applyObject(options.client, configMapOf(namespace, signDocument(json, subject, signer)), {
        fieldManager: FIELD_MANAGER,
        force: true,
        signal,
      });
      known.set(namespace, { json, number, kid: signer.kid });
    },
  };
}

function refOf(namespace: string): ObjectRef {
  return { resource: CONFIG_MAPS, namespace, name: NAME };
}

function configMapOf(namespace: string, files: SignedFiles): Parameters<typeof applyObject>[1] {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: NAME, namespace, labels: { [MANAGED_BY_LABEL]: MANAGED_BY, [BUNDLE_LABEL]: LABEL_VALUE } },
    data: { 'statement.jws': files['statement.jws'], 'keys.jws': files['keys.jws'] },
    binaryData: { part: Buffer.from(files.part).toString('base64') },
  };
}

function open(
  raw: RawObject,
  namespace: string,
  { signer, options }: { readonly signer: Signer; readonly options: LastGoodConfigMapOptions },
): KnownRecord | undefined {
  const text = (field: unknown, key: string): string => {
    const value = (field as Readonly<Record<string, unknown>> | undefined)?.[key];
    return typeof value === 'string' ? value : '';
  };
  const files = {
    'statement.jws': text(raw['data'], 'statement.jws'),
    // Keys may have been replaced since: the controller trusts the list that it signs with.
    'keys.jws': signer.keys.lines,
    part: Buffer.from(text(raw['binaryData'], 'part'), 'base64'),
  };
  try {
    const { json, statement } = openDocument(files, {
      schema: LAST_VALID_STATEMENT,
      cluster: signer.cluster,
      namespace,
      roots: [signer.keys.root],
      known: signer.keys,
      nowMs: undefined,
      maxBytes: MAX_RECORD_BYTES,
    });
    return { json, number: statement.number, kid: parseJws('sallyport-statement', files['statement.jws'])?.kid ?? '' };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    options.logger.warn({ namespace, code: error.code, err: error }, 'the record of last good policies is not accepted');
    return undefined;
  }
}
