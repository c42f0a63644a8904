import CShims

/// A request's method (RFC 9110, section 9), as written in a request line.
public enum HTTPMethod: String, Sendable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
    case options = "OPTIONS"
    case patch = "PATCH"
    case connect = "CONNECT"
    case trace = "TRACE"
    /// A method that no standard defines.
    case other = ""

    init(number: Int32) {
        switch number {
        case apus_http_method_get: self = .get
        case apus_http_method_head: self = .head
        case apus_http_method_post: self = .post
        case apus_http_method_put: self = .put
        case apus_http_method_delete: self = .delete
        case apus_http_method_options: self = .options
        case apus_http_method_patch: self = .patch
        case apus_http_method_connect: self = .connect
        case apus_http_method_trace: self = .trace
        default: self = .other
        }
    }
}
