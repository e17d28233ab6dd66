-- wrk -s upload.lua ADDRESS -- METHOD BYTES: each request has a body of so many bytes.
function init(args)
  local bytes = tonumber(args[2])
  wrk.method = args[1]
  wrk.headers["Content-Type"] = "text/plain"
  wrk.body = string.rep("sluice-bench ", math.ceil(bytes / 13)):sub(1, bytes)
end
