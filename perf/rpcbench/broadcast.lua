-- A script for wrk with one thread: posts each line of a file once, and prints the number of answers and the time
-- they took.
--   wrk -t1 … -s broadcast.lua URL -- FILE
local ffi = require("ffi")
ffi.cdef[[
struct apus_timespec { long seconds; long nanoseconds; };
int clock_gettime(int clock, struct apus_timespec *time);
]]

local lines
local now = ffi.new("struct apus_timespec")
answered, refused, first, last = 0, 0, 0, 0
refusal = ""

local function time()
  ffi.C.clock_gettime(1, now) -- CLOCK_MONOTONIC
  return tonumber(now.seconds) + tonumber(now.nanoseconds) / 1e9
end

function init(arguments)
  lines = assert(io.open(arguments[1], "rb")):lines()
end

local is_verified = false

function request()
  if not is_verified then
    -- wrk calls this once before the run, to check the request, and drops the result.
    is_verified = true
    return wrk.format("POST", nil, nil, "{}")
  end
  local line = lines()
  -- No line is left: the connection sends nothing more.
  if not line then return "" end
  if first == 0 then first = time() end
  return wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, line)
end

function response(status, headers, body)
  last = time()
  answered = answered + 1
  if status ~= 200 or body:find('"error"', 1, true) then
    refused = refused + 1
    refusal = status .. " " .. body:sub(1, 300)
  end
end

local threads = {}
function setup(thread) table.insert(threads, thread) end

function done()
  for _, thread in ipairs(threads) do
    print(string.format("answered %d refused %d seconds %.6f", thread:get("answered"), thread:get("refused"),
      thread:get("last") - thread:get("first")))
    if thread:get("refused") > 0 then print("refusal " .. thread:get("refusal")) end
  end
end
