/*
 * Writes manifests/ for `kubectl apply` from the chart and the CRDs: crds.yaml, and install.yaml as `helm template` renders it
 * with default values, after its namespace. `node scripts/gen-manifests.ts` writes; with `--check` it writes nothing and exits
 * 1 when a file differs from what would be written. Needs the helm that the cluster tests build; without it the check is skipped with a message.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { crdFiles } from '../src/api/crd/custom-resource-definitions.ts';
import { binaryPath, build } from '../test/cluster/build.ts';

const folder = new URL('../manifests/', import.meta.url);
const chart = fileURLToPath(new URL('../charts/sallyport', import.meta.url));
const isCheck = process.argv.includes('--check');
const namespace = 'sallyport-system';

const HEAD = `# Written by scripts/gen-manifests.ts from charts/sallyport with its default values.
apiVersion: v1
kind: Namespace
metadata:
  name: ${namespace}
  labels:
    app.kubernetes.io/part-of: sallyport
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/audit: restricted
    pod-security.kubernetes.io/warn: restricted
`;

/** Removes Helm's labels and comments with chart paths, which have no meaning outside of Helm. */
function withoutHelm(rendered: string): string {
  return rendered
    .replaceAll(/^# Source: .*\n/gm, '')
    .replaceAll(/^ *helm\.sh\/chart: .*\n/gm, '')
    .replaceAll('app.kubernetes.io/managed-by: Helm', 'app.kubernetes.io/managed-by: kubectl')
    .replaceAll(/\n+---\n/g, '\n---\n');
}

function render(helm: string, ...args: readonly string[]): string {
  const rendered = execFileSync(helm, ['template', 'sallyport', chart, '--namespace', namespace, '--skip-tests', ...args], {
    encoding: 'utf8',
    env: { ...process.env, HELM_CACHE_HOME: '/nonexistent', HELM_CONFIG_HOME: '/nonexistent', HELM_DATA_HOME: '/nonexistent' },
  });
  return `${withoutHelm(rendered).trimEnd()}\n`;
}

/** What the Prometheus operator reads. */
function monitors(helm: string): string {
  const kinds = ['serviceMonitor', 'podMonitor', 'prometheusRule'];
  const rendered = render(helm, ...kinds.flatMap((kind) => ['--set', `${kind}.enabled=true`]));
  const own = rendered.split('\n---\n').filter((text) => text.includes('apiVersion: monitoring.coreos.com/'));
  return `# Written by scripts/gen-manifests.ts from charts/sallyport.\n${own.map((text) => text.replace(/^---\n/, '').trim()).join('\n---\n')}\n`;
}

/** The DaemonSet that redirects connections, with its namespace and its rights. */
function nodeCapture(helm: string): string {
  const own = render(helm, '--set', 'capture.mode=node')
    .split('\n---\n')
    .filter((text) => text.includes('app.kubernetes.io/component: node'));
  return `# Written by scripts/gen-manifests.ts from charts/sallyport.\n${own.map((text) => text.replace(/^---\n/, '').trim()).join('\n---\n')}\n`;
}

function current(name: string): string | undefined {
  const url = new URL(name, folder);
  return existsSync(url) ? readFileSync(url, 'utf8') : undefined;
}

const crds = crdFiles().map((file) => file.text.replace(/^---\n/, ''));
const helm = binaryPath('helm');
if (!isCheck && !existsSync(helm)) await build('integration');
const generated = [
  { name: 'crds.yaml', text: crds.join('---\n') },
  ...(existsSync(helm)
    ? [
        { name: 'install.yaml', text: `${HEAD}${render(helm)}` },
        { name: 'components/monitoring/monitors.yaml', text: monitors(helm) },
        { name: 'components/node-capture/node.yaml', text: nodeCapture(helm) },
      ]
    : []),
];
if (!existsSync(helm)) console.error('NOT CHECKED: manifests/install.yaml, because helm is not built');

const stale = generated.filter(({ name, text }) => current(name) !== text);
if (isCheck) {
  for (const { name } of stale) console.error(`manifests/${name} is stale; run: node scripts/gen-manifests.ts`);
  // Not reset to 0: another generator in the same process may have found a stale file.
  if (stale.length > 0) process.exitCode = 1;
} else {
  for (const { name, text } of stale) {
    writeFileSync(new URL(name, folder), text);
    console.error(`wrote manifests/${name}`);
  }
}
