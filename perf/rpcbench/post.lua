-- A script for wrk: posts the same body repeatedly.
--   wrk … -s post.lua URL -- FILE
function init(arguments)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  local file = assert(io.open(arguments[1], "rb"))
  wrk.body = file:read("*a")
  file:close()
end
