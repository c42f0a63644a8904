import Arguments
import Bytes
import Metrics
import Multiformats

/// Histograms in HdrHistogram's log format, version 1.3, with compressed payloads of its encoding V2, which HdrHistogram's
/// libraries and plotters read. http://hdrhistogram.org
///
/// The payload's zlib stream (RFC 1950) has stored blocks (RFC 1951, section 3.2.4): a stage has hundreds of buckets, so
/// compression would gain little.
struct HistogramLog {
    /// A tag, such as `leader/executed`, and the counts of durations.
    typealias Entry = (tag: String, counts: HistogramSnapshot)

    private static let encodingCookie: UInt32 = 0x1C84_9313
    private static let compressedCookie: UInt32 = 0x1C84_9314
    private static let storedBlock = 0xFFFF

    let entries: [Entry]
    /// When the histograms began, in seconds since 1970.
    let start: Double
    /// The time since then.
    let length: Duration

    var text: String {
        var lines = [
            "#[Histogram log format version 1.3]",
            "#[StartTime: \(Self.decimal(start)) (seconds since epoch)]",
            #""StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram""#,
        ]
        for (tag, counts) in entries where counts.count > 0 {
            // A comma would end the tag. The interval's maximum is in milliseconds.
            let name = tag.map { $0 == "," || $0 == " " ? "_" : String($0) }.joined()
            let most = Self.decimal(Double(counts.maximum) / 1e6)
            lines.append(
                "Tag=\(name),0.000,\(Self.decimal(length / .seconds(1))),\(most),\(Self.base64(counts))")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func decimal(_ number: Double) -> String { DecimalText.text(number, places: 3) }

    // MARK: Encoding

    static func base64(_ counts: HistogramSnapshot) -> String {
        var text: [UInt8] = []
        compressed(counts).withUnsafeBytes { Base64.append($0, to: &text) }
        return String(decoding: text, as: UTF8.self)
    }

    private static func compressed(_ counts: HistogramSnapshot) -> [UInt8] {
        let content = zlib(encoded(counts))
        var writer = ByteWriter()
        writer.putBE(u32: compressedCookie)
        writer.putBE(u32: UInt32(clamping: content.count))
        return writer.bytes + content
    }

    private static func encoded(_ counts: HistogramSnapshot) -> [UInt8] {
        let payload = payload(counts)
        var writer = ByteWriter()
        writer.putBE(u32: encodingCookie)
        writer.putBE(u32: UInt32(clamping: payload.count))
        // The offset of a shifted histogram.
        writer.putBE(u32: 0)
        writer.putBE(u32: UInt32(HistogramBuckets.significantDigits))
        // The lowest discernible and the highest trackable value, and the unit of values that were floating-point numbers.
        writer.putBE(u64: 1)
        writer.putBE(u64: HistogramBuckets.highestNanoseconds)
        writer.putBE(u64: Double(1).bitPattern)
        return writer.bytes + payload
    }

    /// The counts up to the last that is not 0, as ZigZag LEB128 numbers; a negative one skips so many zeros.
    private static func payload(_ counts: HistogramSnapshot) -> [UInt8] {
        var bytes: [UInt8] = []
        var zeros: Int64 = 0
        for count in counts.counts {
            guard count > 0 else {
                zeros += 1
                continue
            }
            if zeros > 0 { put(zeros == 1 ? 0 : -zeros, &bytes) }
            zeros = 0
            put(Int64(clamping: count), &bytes)
        }
        return bytes
    }

    /// LEB128 with at most nine bytes, the last of which has eight bits.
    private static func put(_ value: Int64, _ bytes: inout [UInt8]) {
        var rest = UInt64(bitPattern: (value << 1) ^ (value >> 63))
        for _ in 0..<8 {
            guard rest > 0x7F else { return bytes.append(UInt8(rest)) }
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    private static func zlib(_ bytes: [UInt8]) -> [UInt8] {
        // Deflate with a window of 32 KiB; the pair is a multiple of 31.
        var stream: [UInt8] = [0x78, 0x01]
        var rest = bytes[...]
        repeat {
            let piece = rest.prefix(storedBlock)
            rest = rest.dropFirst(piece.count)
            let (low, high) = (UInt8(piece.count & 0xFF), UInt8(piece.count >> 8))
            stream += [rest.isEmpty ? 1 : 0, low, high, ~low, ~high]
            stream += piece
        } while !rest.isEmpty
        let sum = adler32(bytes)
        return stream + (0..<4).map { UInt8(truncatingIfNeeded: sum >> (24 - 8 * UInt32($0))) }
    }

    private static func adler32(_ bytes: [UInt8]) -> UInt32 {
        var (low, high): (UInt32, UInt32) = (1, 0)
        for byte in bytes {
            low = (low + UInt32(byte)) % 65_521
            high = (high + low) % 65_521
        }
        return high << 16 | low
    }
}
