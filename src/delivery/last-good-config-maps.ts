/*
 * The records of last good versions as signed ConfigMaps next to the bundles.
 */
import { BUNDLE_LABEL, BUNDLE_NAME_PREFIX, MANAGED_BY, MANAGED_BY_LABEL } from '../api/kube/names.ts';
import { nextNumber, type Signer } from '../bundle/signer.ts';
import { PART_LIMIT_BYTES, toStoredForm } from '../bundle/slots.ts';
import { LAST_VALID_STATEMENT } from '../bundle/statement.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import type { ListAll } from '../cluster/list-objects.ts';
import { deleteObject } from '../cluster/objects.ts';
import { CONFIG_MAPS, type ObjectRef } from '../cluster/paths.ts';
import { RefusedError, TransientError } from '../errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { DocumentChange, DocumentWatch } from './document-watch.ts';
import { formatRecord, type LastGoodStore, MAX_RECORD_BYTES, type Manifests, parseRecord } from './last-good-store.ts';
import { readSignedConfigMap, type StoredDocument, signedConfigMap } from './signed-config-map.ts';
import { rawOf, writeConfigMap } from './write-config-map.ts';

/** Name of the ConfigMap in each namespace. */
const NAME = `${BUNDLE_NAME_PREFIX}last-valid.0`;
/** Value of the label that bundles have, too. */
const LABEL_VALUE = 'last-valid';
const LABELS = { [MANAGED_BY_LABEL]: MANAGED_BY, [BUNDLE_LABEL]: LABEL_VALUE };

/** Parts of a store in ConfigMaps. */
export interface LastGoodConfigMapOptions {
  readonly client: KubeClient;
  readonly list: ListAll;
  /** Undefined: there are no keys, so no record is read or written. */
  readonly signer: () => Signer | undefined;
  readonly wallMs: () => number;
  readonly logger: Logger;
  readonly documents: DocumentWatch;
}

/** A store in the cluster that `client` talks to. */
export function createLastGoodConfigMaps(options: LastGoodConfigMapOptions): LastGoodStore {
  const { documents } = options;
  /** Text of the records that this process read or wrote last. */
  const known = new Map<string, StoredDocument>();
  return {
    read: async (signal) => {
      const found = new Map<string, Manifests>();
      const signer = options.signer();
      if (signer === undefined) return found;
      const visit = (raw: RawObject): void => {
        const { namespace, name } = raw.metadata ?? {};
        if (namespace === undefined || name !== NAME) return;
        const opened = readSignedConfigMap(raw, {
          schema: LAST_VALID_STATEMENT,
          namespace,
          signer,
          maxBytes: MAX_RECORD_BYTES,
          onRefused: (error) =>
            options.logger.warn({ namespace, code: error.code, err: error }, 'the record of last good policies is not accepted'),
        });
        const manifests = opened === undefined ? undefined : parseRecord(namespace, opened.json);
        if (opened === undefined || manifests === undefined) return;
        known.set(namespace, opened);
        found.set(namespace, manifests);
        documents.expect(raw);
      };
      await options.list({ resource: CONFIG_MAPS, labelSelector: `${BUNDLE_LABEL}=${LABEL_VALUE}` }, visit, signal);
      return found;
    },
    write: async (namespace, manifests, signal) => {
      const signer = options.signer();
      const before = known.get(namespace);
      if (signer === undefined || (manifests.length === 0 && before === undefined)) return;
      if (manifests.length === 0) {
        await documents.during(changeOf(namespace), async () => {
          await deleteObject(options.client, refOf(namespace), { signal });
          return undefined;
        });
        known.delete(namespace);
        return;
      }
      const number = nextNumber(before?.number ?? 0, options.wallMs());
      const subject = { schema: LAST_VALID_STATEMENT, namespace, number } as const;
      const json = formatRecord(namespace, manifests, fits);
      // One that a former key signed is signed again, before lists of keys leave that key out.
      if (json === before?.json && before.kid === signer.kid) return;
      const desired = signedConfigMap({ name: NAME, labels: LABELS, json }, subject, signer);
      const isOurs = ({ metadata }: RawObject): boolean => metadata?.labels?.[BUNDLE_LABEL] === LABEL_VALUE;
      const write = { client: options.client, desired, known: undefined, isOurs, signal };
      const written = await documents.during(changeOf(namespace), async () => rawOf(await writeConfigMap(write)));
      if (written === undefined) throw new TransientError('SP_KUBE_CONFLICT', `another client holds the record of namespace ${namespace}`);
      known.set(namespace, { json, number, kid: signer.kid });
    },
    subscribe: (listener) =>
      documents.subscribe(LABEL_VALUE, (namespace) => {
        // Nothing that is stored now counts as written, also where there should be no record.
        known.set(namespace, { json: '', kid: '', number: known.get(namespace)?.number ?? 0 });
        listener(namespace);
      }),
  };
}

function changeOf(namespace: string): DocumentChange {
  return { kind: LABEL_VALUE, namespace, name: NAME };
}

function refOf(namespace: string): ObjectRef {
  return { resource: CONFIG_MAPS, namespace, name: NAME };
}

/** Whether a ConfigMap holds the text, with space for statement and lists of keys. */
function fits(json: string): boolean {
  try {
    toStoredForm(json, 1, PART_LIMIT_BYTES / 2);
    return true;
  } catch (error) {
    if (error instanceof RefusedError) return false;
    throw error;
  }
}
