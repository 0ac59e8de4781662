import { expect } from 'chai';
import { parse } from 'yaml';
import { DEFAULT_AGENT_IMAGE } from '../../../../src/cli/commands/inject.ts';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { TRUST_ANCHOR_FILE } from '../../../support/guarded-pods.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const DEPLOYMENT = `# kept
apiVersion: apps/v1
kind: Deployment
metadata: { name: httpbin, namespace: foo }
spec:
  selector: { matchLabels: { app: httpbin } }
  template:
    metadata: { labels: { app: httpbin } }
    spec:
      containers:
        - { name: httpbin, image: httpbin, ports: [{ containerPort: 8080 }] }
`;
const SERVICE = 'apiVersion: v1\nkind: Service\nmetadata: { name: httpbin }\n';

interface Container {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy?: string;
  readonly env?: readonly object[];
}

function inject(
  files: Readonly<Record<string, string>>,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  return withDirectory(files, (cwd) => runCommand(['inject', '--trust-anchor', TRUST_ANCHOR_FILE, ...args], { cwd, env }));
}

function agentOf(text: string, wanted = 'sallyport-agent'): Container | undefined {
  const deployment = parse(text) as {
    readonly spec: { readonly template: { readonly spec: { readonly initContainers?: readonly Container[] } } };
  };
  return deployment.spec.template.spec.initContainers?.find(({ name }) => name === wanted);
}

describe('sallyport inject', () => {
  it('prints the manifest with an agent and keeps comments', async () => {
    const { exitCode, stdout, stderr } = await inject({ 'a.yaml': DEPLOYMENT }, ['-f', 'a.yaml']);

    expect([exitCode, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.match(/^# kept\n/);
    expect(agentOf(stdout)?.image).to.equal(DEFAULT_AGENT_IMAGE);
  });

  it('sets level and form of the log lines of the agent', async () => {
    const { stdout } = await inject({ 'a.yaml': DEPLOYMENT }, ['-f', 'a.yaml', '--agent-log-level', 'warn', '--agent-log-format', 'text']);

    expect(agentOf(stdout)?.env).to.deep.include.members([
      { name: 'SALLYPORT_LOG_LEVEL', value: 'warn' },
      { name: 'SALLYPORT_LOG_FORMAT', value: 'text' },
    ]);
  });

  it('reads standard input for -, and changes nothing when run on its own output', async () => {
    const once = await runCommand(['inject', '--trust-anchor', TRUST_ANCHOR_FILE, '-f', '-'], { stdin: DEPLOYMENT });
    const twice = await runCommand(['inject', '--trust-anchor', TRUST_ANCHOR_FILE, '-f', '-'], { stdin: once.stdout });

    expect(twice.stdout).to.equal(once.stdout);
  });

  it('prints several files as one stream', async () => {
    const { stdout } = await inject({ 'a.yaml': SERVICE, 'b.yaml': DEPLOYMENT }, ['-f', 'a.yaml', '-f', 'b.yaml']);

    expect(stdout.startsWith(`${SERVICE}---\n# kept\n`), stdout).to.equal(true);
  });

  const config = 'webhook: { agentImage: "from/config/agent:1", agentImagePullPolicy: Always }\n';
  const images: readonly (readonly [
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    image: string,
    policy: string | undefined,
  ])[] = [
    ['the configuration', ['--config', 'c'], {}, 'from/config/agent:1', 'Always'],
    [
      'the environment rather than the configuration',
      ['--config', 'c'],
      { SALLYPORT_AGENT_IMAGE: 'from/env/agent:1' },
      'from/env/agent:1',
      'Always',
    ],
    [
      'the flag rather than both',
      ['--config', 'c', '--image', 'from/flag/agent:1', '--image-pull-policy', 'Never'],
      { SALLYPORT_AGENT_IMAGE: 'from/env/agent:1' },
      'from/flag/agent:1',
      'Never',
    ],
  ];
  for (const [name, args, env, image, policy] of images) {
    it(`takes the image from ${name}`, async () => {
      const { stdout } = await inject({ 'a.yaml': DEPLOYMENT, c: config }, ['-f', 'a.yaml', ...args], env);

      expect(agentOf(stdout)).to.deep.include({ image, imagePullPolicy: policy });
    });
  }

  it('takes the image of the init container from the flag, or derives it from the agent', async () => {
    const derived = await inject({ 'a.yaml': DEPLOYMENT }, ['-f', 'a.yaml', '--image', 'example/agent:1']);
    const given = await inject({ 'a.yaml': DEPLOYMENT }, ['-f', 'a.yaml', '--image', 'example/agent@sha256:0', '--init-image', 'other:2']);

    expect(agentOf(derived.stdout, 'sallyport-init')?.image).to.equal('example/redirect:1');
    expect(agentOf(given.stdout, 'sallyport-init')?.image).to.equal('other:2');
  });

  it('asks for the image of the init container when it cannot be derived', async () => {
    const { exitCode, stdout, stderr } = await inject({ 'a.yaml': DEPLOYMENT }, ['-f', 'a.yaml', '--image', 'example/agent@sha256:0']);

    expect([exitCode, stdout]).to.deep.equal([64, '']);
    expect(stderr).to.match(/^sallyport: --init-image is required: it cannot be derived from "example\/agent@sha256:0"[^\n]*\n$/);
  });

  it('prints the input unchanged with a message when it has no pod template', async () => {
    const { exitCode, stdout, stderr } = await inject({ 'a.yaml': SERVICE }, ['-f', 'a.yaml']);

    expect([exitCode, stdout, stderr]).to.deep.equal([0, SERVICE, 'sallyport: no agent was added to any pod template\n']);
  });

  it('exits with 79 and prints nothing when one pod cannot have an agent', async () => {
    const bad = DEPLOYMENT.replace(
      'metadata: { labels: { app: httpbin } }',
      'metadata: { labels: { app: httpbin }, annotations: { sallyport.dev/include-inbound-ports: x } }',
    );
    const { exitCode, stdout, stderr } = await inject({ 'a.yaml': DEPLOYMENT, 'b.yaml': bad }, ['-f', 'a.yaml', 'b.yaml']);

    expect([exitCode, stdout]).to.deep.equal([79, '']);
    expect(stderr).to.match(
      /^b\.yaml: error: Deployment\/httpbin: spec\.template\.metadata\.annotations.*\[SP_ANNOTATION\]\nsallyport: nothing printed: 1 error\n$/,
    );
  });

  const unreadable: readonly (readonly [name: string, files: Readonly<Record<string, string>>])[] = [
    ['does not exist', {}],
    ['is not YAML', { 'a.yaml': 'a: [1\n' }],
  ];
  for (const [name, files] of unreadable) {
    it(`exits with 65 and prints nothing when a file ${name}`, async () => {
      const { exitCode, stdout, stderr } = await inject(files, ['-f', 'a.yaml']);

      expect([exitCode, stdout]).to.deep.equal([65, '']);
      expect(stderr).to.match(/^sallyport: a\.yaml: /);
    });
  }
});
