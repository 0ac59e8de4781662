import { expect } from 'chai';
import { findOtherProtocol } from '../../../src/inject/port-protocols.ts';
import type { ServicePort } from '../../../src/inject/services.ts';

const leads = (over: Partial<ServicePort>): readonly ServicePort[] => [{ service: 's', name: '', target: 8080, ...over }];

describe('the protocol of a port', () => {
  const cases: readonly (readonly [portName: string, services: readonly ServicePort[], protocol: string | undefined])[] = [
    ['', [], undefined],
    ['web', [], undefined],
    ['http', [], undefined],
    ['http-metrics', [], undefined],
    ['grpc-web', [], undefined],
    ['grpc-web-api', [], undefined],
    ['grpc', [], 'grpc'],
    ['grpc-api', [], 'grpc'],
    ['h2c', [], 'h2c'],
    ['http2', [], 'http2'],
    ['HTTPS', [], 'https'],
    ['kafka', [], 'kafka'],
    ['tcpdump', [], undefined],
    ['', leads({ name: 'redis' }), 'redis'],
    ['', leads({ name: 'tcp-bus' }), 'tcp'],
    ['', leads({ appProtocol: 'tcp' }), 'tcp'],
    ['', leads({ appProtocol: 'kubernetes.io/h2c' }), 'kubernetes.io/h2c'],
    ['', leads({ appProtocol: 'kubernetes.io/ws', name: 'tcp' }), undefined],
    ['tcp', leads({ appProtocol: 'http' }), undefined],
    ['tcp', leads({ name: 'http' }), undefined],
    ['grpc', leads({ name: 'web' }), 'grpc'],
    ['', leads({ appProtocol: 'example.com/own', name: 'mysql' }), 'mysql'],
    ['', leads({ name: 'redis', target: 9 }), undefined],
    ['main', leads({ name: 'redis', target: 'main' }), 'redis'],
    ['', [...leads({ name: 'http' }), ...leads({ name: 'grpc' })], 'grpc'],
  ];
  for (const [name, services, protocol] of cases) {
    it(`is ${protocol ?? 'HTTP/1.1'} for "${name}" and ${JSON.stringify(services)}`, () => {
      expect(findOtherProtocol({ port: 8080, name }, services)?.protocol).to.equal(protocol);
    });
  }
});
