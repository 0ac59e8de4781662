import { expect } from 'chai';
import { configNotes, loadControllerConfig } from '../../../src/config/controller.ts';

const load = (fileText: string): ReturnType<typeof loadControllerConfig> => loadControllerConfig({ args: [], env: {}, fileText });
const provider = (text: string): string =>
  `mesh:\n  extensionProviders:\n    - { name: login, envoyExtAuthzHttp: { service: a.b, port: 80${text} } }\n`;

describe('a mesh section from Istio', () => {
  for (const kind of ['opentelemetry', 'zipkin', 'prometheus', 'envoyFileAccessLog', 'envoyOtelAls', 'stackdriver']) {
    it(`ignores a provider of the kind ${kind}, with a note`, () => {
      const text = `${provider('')}    - { name: other, ${kind}: { service: c.d } }\n`;

      expect(load(text).mesh.extensionProviders.map(({ name }) => name)).to.deep.equal(['login']);
      expect(configNotes(text)).to.deep.equal([
        `provider "other" is ignored: ${kind} is not an external authorizer, so no CUSTOM policy can name it`,
      ]);
    });
  }

  it('takes includeHeadersInCheck under its new name, with a note', () => {
    const text = provider(', includeHeadersInCheck: [authorization, cookie]');

    expect(load(text).mesh.extensionProviders[0]).to.deep.include({ includeRequestHeadersInCheck: ['authorization', 'cookie'] });
    expect(configNotes(text)).to.deep.equal(['provider "login": includeHeadersInCheck is the old name of includeRequestHeadersInCheck']);
  });

  for (const key of ['accessLogFile', 'enableAutoMtls', 'outboundTrafficPolicy', 'defaultConfig']) {
    it(`says of ${key} that it has no meaning here`, () => {
      expect(() => load(`mesh: { ${key}: x }`)).to.throw(`mesh.${key}: this setting of Istio's MeshConfig has no meaning here; remove it`);
    });
  }

  it('refuses a key that Istio does not have either', () => {
    expect(() => load('mesh: { accesLogFile: x }')).to.throw('Unrecognized key');
    expect(() => load('mesh: { extensionProviders: [{ name: a, opentelemtry: {} }] }')).to.throw('opentelemtry');
  });

  it('refuses both names of one setting', () => {
    expect(() => load(provider(', includeHeadersInCheck: [a], includeRequestHeadersInCheck: [b]'))).to.throw('includeHeadersInCheck');
  });
});
