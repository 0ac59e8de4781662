import { expect } from 'chai';
import { appProtocolOf, findEncryption } from '../../../src/inject/port-protocols.ts';
import type { ServicePort } from '../../../src/inject/services.ts';

const leads = (over: Partial<ServicePort>): readonly ServicePort[] => [{ service: 's', name: '', number: 80, target: 8080, ...over }];

describe('the encryption of a port', () => {
  const cases: readonly (readonly [portName: string, services: readonly ServicePort[], protocol: string | undefined])[] = [
    ['', [], undefined],
    ['http', [], undefined],
    ['redis', [], undefined],
    ['HTTPS', [], 'https'],
    ['tls-x', [], 'tls'],
    ['', leads({ appProtocol: 'kubernetes.io/wss' }), 'kubernetes.io/wss'],
    ['https', leads({ name: 'http' }), undefined],
    ['', [...leads({ name: 'http' }), ...leads({ name: 'tls' })], 'tls'],
  ];
  for (const [name, services, protocol] of cases) {
    it(`is ${protocol ?? 'unknown'} for "${name}" and ${JSON.stringify(services)}`, () => {
      expect(findEncryption({ port: 8080, name }, services)?.protocol).to.equal(protocol);
    });
  }
});

describe('what an application speaks on a port', () => {
  const cases: readonly (readonly [portName: string, services: readonly ServicePort[], protocol: string])[] = [
    ['', [], 'client'],
    ['web', [], 'client'],
    ['http', [], 'http1'],
    ['HTTP-metrics', [], 'http1'],
    ['grpc', [], 'http2'],
    ['grpc-api', [], 'http2'],
    ['grpc-web', [], 'client'],
    ['h2c', [], 'http2'],
    ['http2-api', [], 'http2'],
    ['redis', [], 'tcp'],
    ['https', [], 'tcp'],
    ['tcp-echo', [], 'tcp'],
    ['tcpdump', [], 'client'],
    ['postgres', [], 'client'],
    ['', leads({ number: 3306 }), 'tcp'],
    ['', leads({ number: 3306, name: 'http' }), 'http1'],
    ['', leads({ number: 25, appProtocol: 'example.com/own', name: 'own' }), 'tcp'],
    ['redis', leads({ name: 'web' }), 'tcp'],
    ['', leads({ appProtocol: 'example.com/own', name: 'mysql' }), 'tcp'],
    ['', leads({ name: 'redis', target: 9 }), 'client'],
    ['main', leads({ name: 'redis', target: 'main' }), 'tcp'],
    ['', [...leads({ name: 'http' }), ...leads({ name: 'tcp' })], 'client'],
    ['', leads({ appProtocol: 'kubernetes.io/h2c' }), 'http2'],
    ['', leads({ appProtocol: 'kubernetes.io/ws', name: 'grpc' }), 'http1'],
    ['http', leads({ name: 'grpc' }), 'http2'],
    ['grpc', leads({ name: 'web' }), 'http2'],
    ['', [...leads({ name: 'http' }), ...leads({ name: 'grpc' })], 'client'],
    ['', [...leads({ name: 'http2' }), ...leads({ name: 'grpc' })], 'http2'],
  ];
  for (const [name, services, protocol] of cases) {
    it(`is ${protocol} for "${name}" and ${JSON.stringify(services)}`, () => {
      expect(appProtocolOf({ port: 8080, name }, services)).to.equal(protocol);
    });
  }
});
