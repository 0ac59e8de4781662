/*
 * The reports in the cluster. One object per namespace, and one for policies that apply to all namespaces, each with the same name: roles
 * allow this name only.
 */
import { FIELD_MANAGER, MANAGED_BY, MANAGED_BY_LABEL, REPORT_NAME } from '../api/kube/names.ts';
import type { KubeClient } from '../cluster/client.ts';
import type { RawObject } from '../cluster/kube-object.ts';
import type { ListAll } from '../cluster/list-objects.ts';
import { deleteObject } from '../cluster/objects.ts';
import { apiVersionOf, CLUSTER_REPORTS, type ObjectRef, objectPath, REPORTS } from '../cluster/paths.ts';
import type { ReportContent } from './report.ts';

/** Where a report is: a namespace, or {@link WHOLE_CLUSTER}. */
export type ReportPlace = string;

/** The place of the ClusterReport. No namespace has this name. */
export const WHOLE_CLUSTER = '*';

/** Reads and writes reports. Every method throws TransientError and RefusedError as the `cluster` package does. */
export interface ReportStore {
  /** All reports of this product. @throws RefusedError SP_KUBE_NOT_FOUND: the CRDs are not installed */
  readonly readAll: (signal: AbortSignal) => Promise<ReadonlyMap<ReportPlace, ReportContent>>;
  /** Creates or replaces a report. */
  readonly write: (place: ReportPlace, content: ReportContent, signal: AbortSignal) => Promise<void>;
  /** Deletes a report; one that does not exist is left alone. */
  readonly remove: (place: ReportPlace, signal: AbortSignal) => Promise<void>;
}

/** Parts of a store. */
export interface ReportStoreOptions {
  readonly client: KubeClient;
  readonly list: ListAll;
  /** Whether this process may write a ClusterReport. */
  readonly hasClusterReport: boolean;
}

const LABELS = { [MANAGED_BY_LABEL]: MANAGED_BY };
/** Reports wait for everything else that the controller sends. */
const LANE = 'report';

/** The reports of the cluster that `client` talks to. */
export function createReportStore({ client, list, hasClusterReport }: ReportStoreOptions): ReportStore {
  return {
    readAll: async (signal) => {
      const reports = new Map<ReportPlace, ReportContent>();
      const visit = (raw: RawObject): void => {
        if (raw.metadata?.name === REPORT_NAME) reports.set(raw.metadata.namespace ?? WHOLE_CLUSTER, contentOf(raw));
      };
      const labelSelector = `${MANAGED_BY_LABEL}=${MANAGED_BY}`;
      for (const resource of hasClusterReport ? [REPORTS, CLUSTER_REPORTS] : [REPORTS])
        await list({ resource, labelSelector, lane: LANE }, visit, signal);
      return reports;
    },
    write: async (place, content, signal) => {
      const ref = refOf(place);
      const { name, namespace } = ref;
      await client.request({
        method: 'PATCH',
        path: objectPath(ref),
        query: { fieldManager: FIELD_MANAGER, force: true },
        contentType: 'application/apply-patch+yaml',
        body: {
          apiVersion: apiVersionOf(ref.resource),
          kind: ref.resource.kind,
          metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels: LABELS },
          ...content,
        },
        lane: LANE,
        discard: true,
        signal,
      });
    },
    remove: async (place, signal) => void (await deleteObject(client, refOf(place), { lane: LANE, signal })),
  };
}

function refOf(place: ReportPlace): ObjectRef {
  return place === WHOLE_CLUSTER
    ? { resource: CLUSTER_REPORTS, name: REPORT_NAME }
    : { resource: REPORTS, namespace: place, name: REPORT_NAME };
}

/** What another client changed is not checked: a content that differs from the wanted one is replaced. */
function contentOf(raw: RawObject): ReportContent {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...content } = raw;
  return content as unknown as ReportContent;
}
