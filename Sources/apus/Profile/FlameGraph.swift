import Arguments

/// Draws stacks as a flame graph: an SVG file that a browser shows without anything else. A function is as wide as the
/// stacks through it weigh, and stands on its caller. A click widens a function to the whole width, a click at the bottom
/// shows all again; Ctrl-F marks the functions with a text in their names.
struct FlameGraph {
    let stacks: StackTree
    let title: String
    /// Describes a weight, such as `12 samples`.
    let describe: (UInt64) -> String

    /// The width of the picture, and the height of a function, in pixels.
    private static let width = 1200.0
    private static let rowHeight = 17
    /// Narrower functions are left out, in pixels.
    private static let leastWidth = 0.3
    private static let header = 40

    /// The SVG file's text.
    var svg: String {
        let depth = depth(of: 0)
        let height = Self.header + (depth + 1) * Self.rowHeight + 10
        var out = """
            <?xml version="1.0" encoding="UTF-8"?>
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Int(Self.width))" height="\(height)" \
            viewBox="0 0 \(Int(Self.width)) \(height)" font-family="monospace" font-size="11">
            <rect width="100%" height="100%" fill="#fffdf7"/>
            <text x="10" y="22" font-size="14">\(escaped(title))</text>
            <text id="note" x="10" y="36"></text>
            <g id="flames">

            """
        if stacks.total > 0 { draw(0, from: 0, at: 0, height: height, into: &out) }
        out += "</g>\n<script><![CDATA[\(Self.script)]]></script>\n</svg>\n"
        return out
    }

    private func depth(of place: Int) -> Int {
        1
            + (stacks.nodes[place].children.filter { width(of: $0) >= Self.leastWidth }.map { depth(of: $0) }
                .max() ?? 0)
    }

    private func width(of place: Int) -> Double {
        Self.width * Double(stacks.nodes[place].total) / Double(max(stacks.total, 1))
    }

    private func draw(_ place: Int, from x: Double, at level: Int, height: Int, into out: inout String) {
        let node = stacks.nodes[place]
        let width = width(of: place)
        guard width >= Self.leastWidth else { return }
        let y = height - 10 - (level + 1) * Self.rowHeight
        let share = DecimalText.text(100 * Double(node.total) / Double(max(stacks.total, 1)), places: 2)
        out += """
            <g class="f"><title>\(escaped(node.name)): \(describe(node.total)), \(share) %</title>\
            <rect x="\(DecimalText.text(x, places: 2))" y="\(y)" width="\(DecimalText.text(width, places: 2))" \
            height="\(Self.rowHeight - 1)" rx="1" fill="\(Self.color(node))"/>\
            <text x="\(DecimalText.text(x + 3, places: 2))" y="\(y + 12)">\(escaped(label(node.name, width)))</text></g>

            """
        var left = x
        for child in node.children.sorted(by: { stacks.nodes[$0].name < stacks.nodes[$1].name }) {
            draw(child, from: left, at: level + 1, height: height, into: &out)
            left += self.width(of: child)
        }
    }

    /// The part of a name that fits, at 6.7 pixels for a character. The script does the same.
    private func label(_ name: String, _ width: Double) -> String {
        let room = Int((width - 6) / 6.7)
        if room >= name.count { return name }
        return room < 3 ? "" : name.prefix(room - 1) + "…"
    }

    /// Warm colours for the program's functions, green for libraries', blue for the kernel's.
    private static func color(_ node: StackTree.Node) -> String {
        var hash: UInt32 = 2_166_136_261
        for byte in node.name.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        let shade = Int(hash % 40)
        return switch node.origin {
        case .program: "rgb(\(225 + shade / 2),\(130 + 2 * shade),\(60 + shade))"
        case .library: "rgb(\(120 + shade),\(190 + shade),\(110 + shade))"
        case .kernel: "rgb(\(120 + shade),\(160 + shade),\(215 + shade))"
        }
    }

    private func escaped(_ text: some StringProtocol) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "&": out += "&amp;"
            case "\"": out += "&quot;"
            case _ where scalar.value < 32 || scalar.value == 127: out += "?"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// Zooms and searches. Each function keeps its first place in `data`.
    private static let script = """

        const all = [...document.querySelectorAll(".f")].map(g => {
          const [rect, text] = [g.children[1], g.children[2]];
          const name = g.children[0].textContent;
          return {g, rect, text, name, x: +rect.getAttribute("x"), y: +rect.getAttribute("y"),
            w: +rect.getAttribute("width"), fill: rect.getAttribute("fill")};
        });
        const full = \(Int(width));
        function zoom(on) {
          for (const f of all) {
            const x = (f.x - on.x) * full / on.w, w = f.w * full / on.w;
            const isAround = f.y >= on.y && f.x <= on.x + 0.01 && f.x + f.w >= on.x + on.w - 0.02;
            const isInside = f.y <= on.y && f.x >= on.x - 0.01 && f.x + f.w <= on.x + on.w + 0.02;
            f.g.style.display = isAround || isInside ? "" : "none";
            const [left, wide] = isAround ? [0, full] : [x, w];
            f.rect.setAttribute("x", left); f.rect.setAttribute("width", wide);
            f.text.setAttribute("x", left + 3);
            const room = Math.floor((wide - 6) / 6.7), name = f.name.replace(/: [^:]*$/, "");
            f.text.textContent = room >= name.length ? name : room < 3 ? "" : name.slice(0, room - 1) + "…";
          }
        }
        function mark(text) {
          let count = 0;
          for (const f of all) {
            const isFound = text && f.name.includes(text);
            f.rect.setAttribute("fill", isFound ? "#d040e0" : f.fill);
            if (isFound) count++;
          }
          document.getElementById("note").textContent = text ? `${count} functions contain "${text}"` : "";
        }
        for (const f of all) {
          f.g.addEventListener("click", () => zoom(f));
          f.g.addEventListener("mouseover", () => { document.getElementById("note").textContent = f.name; });
        }
        window.addEventListener("keydown", event => {
          if (!event.ctrlKey || event.key !== "f") return;
          event.preventDefault();
          mark(prompt("Mark functions that contain:") || "");
        });

        """
}
