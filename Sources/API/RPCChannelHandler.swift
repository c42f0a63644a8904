import NIOCore
import NIOHTTP1

/// Answers the whole requests of one HTTP connection, one at a time, on its event loop.
final class RPCChannelHandler: ChannelInboundHandler {
    typealias InboundIn = NIOHTTPServerRequestFull
    typealias OutboundOut = HTTPServerResponsePart

    private let limits: RPCServer.Limits
    private let dispatcher: RPCDispatcher
    private var work: Task<Void, Never>?

    init(limits: RPCServer.Limits, dispatcher: RPCDispatcher) {
        self.limits = limits
        self.dispatcher = dispatcher
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let request = unwrapInboundIn(data)
        let path = request.head.uri.prefix { $0 != "?" }
        let keepAlive = request.head.isKeepAlive
        switch (request.head.method, path) {
        case (.POST, "/rpc/v1"):
            let body = request.body.map { Array($0.readableBytesView) } ?? []
            answer(context: context, keepAlive: keepAlive) { [dispatcher] in
                await dispatcher.respond(to: body)
            }
        case (.GET, "/api/v1/health"):
            answer(context: context, keepAlive: keepAlive) { [dispatcher] in await dispatcher.health() }
        case (.OPTIONS, _):
            respond(context: context, .init(status: 204, body: []), keepAlive: keepAlive)
        case (_, "/rpc/v1"), (_, "/api/v1/health"):
            respond(context: context, .init(status: 405, body: []), keepAlive: keepAlive)
        default:
            respond(context: context, .init(status: 404, body: []), keepAlive: keepAlive)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        work?.cancel()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent, work == nil {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    /// Runs `body` off the event loop and writes what it returns, or a timeout's error.
    private func answer(
        context: ChannelHandlerContext, keepAlive: Bool, _ body: @escaping @Sendable () async -> RPCReply
    ) {
        let promise = context.eventLoop.makePromise(of: RPCReply.self)
        let work = promise.completeWithTask { await body() }
        let timeout = context.eventLoop.scheduleTask(in: .nanoseconds(limits.requestTimeout.nanoseconds)) {
            promise.succeed(.timeout)
            work.cancel()
        }
        self.work = work
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        promise.futureResult.whenComplete { result in
            timeout.cancel()
            let (handler, context) = bound.value
            handler.work = nil
            guard case .success(let reply) = result else { return context.close(promise: nil) }
            handler.respond(context: context, reply, keepAlive: keepAlive)
        }
    }

    private func respond(context: ChannelHandlerContext, _ reply: RPCReply, keepAlive: Bool) {
        guard context.channel.isActive else { return }
        var headers = HTTPHeaders()
        if reply.status != 204 {
            headers.add(name: "content-type", value: "application/json")
            headers.add(name: "content-length", value: String(reply.body.count))
        }
        headers.add(name: "access-control-allow-origin", value: "*")
        headers.add(name: "access-control-allow-methods", value: "POST, GET, OPTIONS")
        headers.add(name: "access-control-allow-headers", value: "content-type")
        if !keepAlive { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(
            version: .http1_1, status: .init(statusCode: reply.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !reply.body.isEmpty {
            let buffer = context.channel.allocator.buffer(bytes: reply.body)
            context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: nil)
        }
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        written.whenComplete { [charge = reply.charge] _ in withExtendedLifetime(charge) {} }
        if !keepAlive {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            written.whenComplete { _ in bound.value.close(promise: nil) }
        }
    }
}
