/* The configuration of the program on a node. */
import { expect } from 'chai';
import { loadNodeConfig } from '../../../src/config/node.ts';

describe('loadNodeConfig', () => {
  it('needs the name of the node only', () => {
    expect(loadNodeConfig({ NODE_NAME: 'node1.example' })).to.deep.equal({
      nodeName: 'node1.example',
      netnsDirectory: '/var/run/netns',
      httpHost: '0.0.0.0',
      httpPort: 8081,
      logLevel: 'info',
      logFormat: 'json',
    });
  });

  it('takes every setting from its variable', () => {
    const env = {
      NODE_NAME: 'n',
      SALLYPORT_NETNS_DIR: '/run/x',
      SALLYPORT_HTTP_HOST: '10.0.0.1',
      SALLYPORT_HTTP_PORT: '9',
      SALLYPORT_LOG_LEVEL: 'debug',
      SALLYPORT_LOG_FORMAT: 'text',
      SALLYPORT_KUBECONFIG: '/k',
    };

    expect(loadNodeConfig(env)).to.deep.equal({
      nodeName: 'n',
      netnsDirectory: '/run/x',
      httpHost: '10.0.0.1',
      httpPort: 9,
      logLevel: 'debug',
      logFormat: 'text',
      kubeconfig: '/k',
    });
  });

  const invalid: readonly (readonly [string, string])[] = [
    ['NODE_NAME', ''],
    ['NODE_NAME', 'a,b'],
    ['SALLYPORT_NETNS_DIR', 'run/netns'],
    ['SALLYPORT_HTTP_PORT', '65536'],
    ['SALLYPORT_HTTP_PORT', '-1'],
    ['SALLYPORT_LOG_LEVEL', 'loud'],
    ['SALLYPORT_LOG_FORMAT', 'xml'],
  ];
  for (const [name, text] of invalid) {
    it(`names ${name} when it is "${text}"`, () => {
      expect(() => loadNodeConfig({ NODE_NAME: 'n', [name]: text })).to.throw(`${name}: "${text}" is not `);
    });
  }
});
