-- wrk -s distinct.lua ADDRESS -- PREFIX: each request is for a path of its own below the prefix.
local prefix
local count = 0

function init(args)
  prefix = args[1]
end

function request()
  count = count + 1
  return wrk.format(nil, prefix .. count)
end
