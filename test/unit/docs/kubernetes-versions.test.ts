/*
 * The versions of Kubernetes that the tests run on are the ones that chart, pages and schemas claim.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse } from 'yaml';
import { KUBERNETES, selectedKubernetes } from '../../cluster/versions.ts';

const textOf = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

describe('versions of Kubernetes', () => {
  it('are the same in tests, chart, pages and schemas', () => {
    const { lowest, highest } = KUBERNETES;
    const { kubeVersion } = parse(textOf('charts/sallyport/Chart.yaml')) as { readonly kubeVersion: string };

    expect(kubeVersion).to.equal(`>=${lowest.minor}.0-0`);
    for (const path of ['docs/start/cluster.md', 'docs/reference/support-matrix.md', 'src/config/kube-schemas.ts'])
      expect(textOf(path), path).to.contain(`Kubernetes ${lowest.minor} to ${highest.minor}`);
    for (const { minor, version } of [lowest, highest]) expect(version).to.match(new RegExp(`^v${minor.replace('.', '\\.')}\\.\\d+$`));
  });

  it('are chosen by their minor, and no other is', () => {
    expect(selectedKubernetes(KUBERNETES.lowest.minor)).to.equal(KUBERNETES.lowest.version);
    expect(selectedKubernetes('')).to.equal(KUBERNETES.highest.version);
    expect(() => selectedKubernetes('1.31')).to.throw('SALLYPORT_KUBERNETES is "1.31"; the tests know 1.30 and 1.37');
  });
});
