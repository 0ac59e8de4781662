/*
 * Injects agents into a file of manifests in YAML or JSON with any number of documents. Order, comments and everything else are
 * kept.
 */
import { type Document, isAlias, isMap, visit } from 'yaml';
import type { WorkloadId } from '../api/kube/keys.ts';
import { plainValue } from '../api/kube/plain-value.ts';
import { workloadIdOf, workloadIdOfOwner } from '../api/kube/workload.ts';
import { parseYamlDocuments, type YamlDocuments } from '../api/kube/yaml-documents.ts';
import { type Finding, RefusedError } from '../errors.ts';
import { editDocument } from './edit-document.ts';
import { findTemplateProblems, injectPodTemplate } from './inject-pod.ts';
import { isRaw, type Raw, rawListOf, rawOf, stringOf } from './raw-json.ts';
import { servicePortsFor } from './services.ts';
import type { InjectionSettings } from './settings.ts';

/** A finding about an object of a manifest. */
export interface InjectionFinding extends Finding {
  /** The object as `Kind/name`. */
  readonly object: string;
}

/** Result of {@link injectManifest}. */
export interface ManifestInjection {
  /** The manifest with agents; the input itself if nothing changed. */
  readonly text: string;
  /** Objects with a new or updated agent as `Kind/name`, in order. */
  readonly injected: readonly string[];
  /** Findings with paths from the object's root. An object with an `error` is unchanged. */
  readonly findings: readonly InjectionFinding[];
}

/** Path of the pod template in each kind. */
const TEMPLATE_PATHS: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Deployment: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};
/** Kinds of other groups, such as Rollout and CloneSet, have their pod template here. */
const OTHER_TEMPLATE_PATH: readonly string[] = ['spec', 'template'];
const API_GROUPS: ReadonlySet<string> = new Set(['v1', 'apps/v1', 'batch/v1']);

/**
 * Injects an agent into every Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob and Pod, and into
 * every object of another group with a pod template, also inside a List. Other objects are unchanged.
 *
 * @param others objects of further manifests, whose Services say what the ports of pods are for
 * @throws RefusedError SP_MANIFEST if the text is not YAML or has no JSON form
 */
export function injectManifest(text: string, settings: InjectionSettings, others: readonly Raw[] = []): ManifestInjection {
  const yaml = parseYamlDocuments(text, { merge: true });
  const { documents } = yaml;
  if (documents.length === 0) return { text, injected: [], findings: [] };
  const injected: string[] = [];
  const findings: InjectionFinding[] = [];
  const edited = new Set<Document>();
  const placed = placedObjects(yaml);
  const all = [...placed.flatMap(({ objects }) => objects.map(({ object }) => object)), ...others];
  for (const { document, objects } of placed) {
    for (const { path, object } of objects) {
      const result = injectObject(object, settings, all);
      const name = `${stringOf(object['kind']) ?? ''}/${stringOf(rawOf(object['metadata'])['name']) ?? ''}`;
      findings.push(...result.findings.map((finding) => ({ ...finding, object: name })));
      if (result.object === object) continue;
      injected.push(name);
      editDocument(document, path, result.object);
      edited.add(document);
    }
  }
  if (edited.size === 0) return { text, injected, findings };
  return { text: isJson(text) ? printJson(documents) : printAll(text, documents, edited), injected, findings };
}

interface Placed {
  readonly path: readonly (string | number)[];
  readonly object: Raw;
}

/** The objects of a manifest, also those inside a List. @throws RefusedError SP_MANIFEST as {@link injectManifest} does */
export function readObjects(text: string): readonly Raw[] {
  return placedObjects(parseYamlDocuments(text, { merge: true })).flatMap(({ objects }) => objects.map(({ object }) => object));
}

function placedObjects({
  documents,
  errorText,
}: YamlDocuments): readonly { readonly document: Document.Parsed; readonly objects: readonly Placed[] }[] {
  return documents.flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw new RefusedError('SP_MANIFEST', `not YAML: ${errorText(error)}`, { cause: error });
    return isMap(document.contents) ? [{ document, objects: objectsOf(document) }] : [];
  });
}

function objectsOf(document: Document): readonly Placed[] {
  const root = plainValue(document);
  if (!isRaw(root)) return [];
  if (!(stringOf(root['kind']) ?? '').endsWith('List') || !Array.isArray(root['items'])) return [{ path: [], object: root }];
  return root['items'].flatMap((object: unknown, at) => (isRaw(object) ? [{ path: ['items', at], object }] : []));
}

function injectObject(
  object: Raw,
  settings: InjectionSettings,
  all: readonly Raw[],
): { readonly object: Raw; readonly findings: readonly Finding[] } {
  const found = templateOf(object);
  if (found === undefined) return { object, findings: leftAlone(object) };
  const { path, template } = found;
  const workload = workloadIn(object, stringOf(object['kind']) ?? '');
  const labels = namespaceLabelsIn(all, stringOf(rawOf(object['metadata'])['namespace']));
  const { pod, findings } = injectPodTemplate(template, {
    workload,
    settings,
    services: servicesFor(object, template, all),
    ...(labels === undefined ? {} : { namespaceLabels: labels }),
  });
  return { object: pod === template ? object : replaceAt(object, path, pod), findings: fromRoot(path, findings) };
}

/**
 * What injecting an agent into `object` would report; empty for an object without a pod template.
 *
 * @param all every known object, whose Services say what the ports of the pod are for
 */
export function findObjectProblems(object: Raw, all: readonly Raw[]): readonly Finding[] {
  const found = templateOf(object);
  if (found === undefined) return [];
  return fromRoot(found.path, findTemplateProblems(found.template, servicesFor(object, found.template, all)));
}

function templateOf(object: Raw): { readonly path: readonly string[]; readonly template: Raw } | undefined {
  const apiVersion = stringOf(object['apiVersion']) ?? '';
  const path = API_GROUPS.has(apiVersion) ? TEMPLATE_PATHS[stringOf(object['kind']) ?? ''] : OTHER_TEMPLATE_PATH;
  if (path === undefined || isLeftAlone(apiVersion)) return undefined;
  const template = path.reduce<Raw>((inner, key) => rawOf(inner[key]), object);
  return rawListOf(rawOf(template['spec'])['containers']).length === 0 ? undefined : { path, template };
}

/** Their controllers accept no further container in a template, or no port of one. */
function isLeftAlone(apiVersion: string): boolean {
  return apiVersion.startsWith('serving.knative.dev/');
}

/** A warning about an object whose pods get no agent from this manifest. */
function leftAlone(object: Raw): readonly Finding[] {
  const template = OTHER_TEMPLATE_PATH.reduce<Raw>((inner, key) => rawOf(inner[key]), object);
  if (!isLeftAlone(stringOf(object['apiVersion']) ?? '') || rawListOf(rawOf(template['spec'])['containers']).length === 0) return [];
  const message = 'has a pod template and was not injected';
  return [
    {
      code: 'SP_NO_AGENT',
      severity: 'warning',
      path: 'spec.template',
      message,
      hint: 'the webhook injects the pods that its controller creates',
    },
  ];
}

function servicesFor(object: Raw, template: Raw, all: readonly Raw[]): ReturnType<typeof servicePortsFor> {
  const namespace = stringOf(rawOf(object['metadata'])['namespace']) ?? '';
  return servicePortsFor(all, { namespace, labels: rawOf(rawOf(template['metadata'])['labels']) });
}

/** Labels of the namespace if it is among the objects. */
function namespaceLabelsIn(all: readonly Raw[], name: string | undefined): Raw | undefined {
  if (name === undefined) return undefined;
  const found = all.find(
    ({ apiVersion, kind, metadata }) => apiVersion === 'v1' && kind === 'Namespace' && rawOf(metadata)['name'] === name,
  );
  return found === undefined ? undefined : rawOf(rawOf(found['metadata'])['labels']);
}

function fromRoot(path: readonly string[], findings: readonly Finding[]): readonly Finding[] {
  return findings.map((finding) => ({ ...finding, path: [...path, finding.path].join('.') }));
}

function workloadIn(object: Raw, kind: string): WorkloadId {
  const metadata = rawOf(object['metadata']);
  const name = stringOf(metadata['name']) ?? '';
  const generateName = stringOf(metadata['generateName']);
  if (kind !== 'Pod') return workloadIdOfOwner(kind, name);
  return workloadIdOf({ name, labels: {}, ...(generateName === undefined ? {} : { generateName }) });
}

function replaceAt(object: Raw, path: readonly string[], value: Raw): Raw {
  const [key, ...rest] = path;
  return key === undefined ? value : { ...object, [key]: replaceAt(rawOf(object[key]), rest, value) };
}

/** Removes anchors whose last alias was replaced: they are valid but confusing. */
function dropUnusedAnchors(document: Document): void {
  const used = new Set<string>();
  visit(document, { Alias: (_, node) => void used.add(node.source) });
  visit(document, {
    Node: (_, node) => {
      if (!isAlias(node) && node.anchor !== undefined && !used.has(node.anchor)) delete node.anchor;
    },
  });
}

/** Unedited documents keep their exact text, edited ones keep their comments. */
function printAll(text: string, documents: readonly Document.Parsed[], edited: ReadonlySet<Document>): string {
  let end = 0;
  return documents
    .map((document, at) => {
      const source = text.slice(end, document.range[2]);
      end = document.range[2];
      if (!edited.has(document)) return source;
      dropUnusedAnchors(document);
      if (at > 0) document.directives.docStart = true;
      return document.toString({ lineWidth: 0 });
    })
    .join('');
}

function isJson(text: string): boolean {
  if (!text.trimStart().startsWith('{')) return false;
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    // Flow style YAML, or more than one document.
    return false;
  }
}

function printJson(documents: readonly Document[]): string {
  return `${JSON.stringify(documents[0]?.toJS(), null, 2)}\n`;
}
