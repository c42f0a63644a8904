import CShims
import Glibc

/// A named operating system thread that blocks all signals: the main thread handles them.
public enum LoopThread {
    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a detached thread that runs `body`. Linux keeps 15 bytes of `name`. `stackSize` is in bytes; nil means
    /// the default. Throws `.system` if the thread cannot be created.
    public static func start(
        _ name: String, stackSize: Int? = nil, _ body: @escaping @Sendable () -> Void
    ) throws(ReactorError) {
        let start = Unmanaged.passRetained(Start(name, body))
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        if let stackSize { pthread_attr_setstacksize(&attributes, stackSize) }
        let result = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                var all = sigset_t()
                sigfillset(&all)
                pthread_sigmask(SIG_SETMASK, &all, nil)
                apus_name_thread(String(start.name.prefix(15)))
                start.body()
                return nil
            }, start.toOpaque())
        guard result == 0 else {
            start.release()
            throw ReactorError("pthread_create", result)
        }
        pthread_detach(thread)
    }
}
