import { type Script, script } from './script.js'

/**
 * The keys, each behind the prefix P:
 *
 *   e:<key>      hash     an entry: h head, d what its body is, b the body where it is small, and for the scripts: i id of the head,
 *                         u URL, g tags, o and n name and number of the body's parts, m mark, p the soft purge that matched it,
 *                         lo and ln the parts of the body it replaced
 *   b:<o>:<i>    string   a part of a body
 *   urls         set      what purges look through, in the order of letters: for each entry "<URL>\n<key>", and for each of its tags
 *                         "\0<bytes of the tag>:<tag>\n<key>"; before them all "\0\0<its birth>", and "\0\1" where no entry is missing
 *   due          set      the same by the time at which the entry goes, and '' at its end
 *   log          set      "<number>|<soft>|<kind>|<from>|<value>" of the last purges by their number. The first one is the floor: up to
 *                         its number nothing is remembered
 *   l:<key>      string   who has the lease of a key
 *   say          channel  "p<number before>|<entry of the log>" for a purge, "r<who had it>|<key>" when a lease ends
 *
 * A purge's number is the time of Redis in µs, and more than the one before. So numbers go on where Redis has lost all it knew,
 * and a floor made then is above every mark from before; where the clock was set back, such a mark is above all of them, which no other is. Whatever is written has a time to live.
 *
 * So a Redis that is full may evict any key by itself. What purges look through is one key for that: had each tag one of its own, it would
 * go before the entry that is read all the time, and a purge of it would find nothing. It is made anew where it is gone, and then isn't
 * whole before a purge has looked for entries in all of Redis, unless there is next to nothing in it.
 */
const common = String.raw`
local P=ARGV[1]
local t=redis.call('TIME')
local us=t[1]*1000000+t[2]
local ms=math.floor(us/1000)
local LOG,URLS,DUE=P..'log',P..'urls',P..'due'
local function entries() return string.gsub(P,'[%*%?%[%]%^\\-]','\\%0')..'e:*' end
local DAY,LINGER=86400000,30000
-- Entries and tags of them by which a step of a purge ends: each is a write or two, and nobody else is served meanwhile.
local ENOUGH=2000
local function str(n) return string.format('%.0f',n) end
local function number(member) return tonumber(string.match(member,'^%d+')) end
-- After this first write, which takes no room, Redis refuses none for want of it: a purge is done where nothing more can be kept.
local function keep() redis.call('PEXPIRE',LOG,str(DAY)) end
local function last()
  keep()
  local member=redis.call('ZREVRANGE',LOG,0,0)[1]
  if member then return number(member) end
  redis.call('ZADD',LOG,str(us),str(us)..'|0|f||')
  keep()
  return us
end
local function floor() return number(redis.call('ZRANGE',LOG,0,0)[1]) end
local function live(k,ttl) if redis.call('PTTL',k)<ttl then redis.call('PEXPIRE',k,str(ttl)) end end
local function fields(e,...)
  local f=redis.pcall('HMGET',e,...)
  if f.err then redis.call('UNLINK',e) return {} end
  return f
end
local function tags(text)
  local ok,list=pcall(cjson.decode,text or '')
  return ok and type(list)=='table' and list or {}
end
local function born()
  local first,last=redis.pcall('ZRANGE',URLS,0,0)[1],redis.pcall('ZRANGE',DUE,-1,-1)[1]
  if first and string.sub(first,1,2)=='\0\0' and last=='' then return string.sub(first,3) end
  redis.call('UNLINK',URLS,DUE)
  redis.call('ZADD',URLS,0,'\0\0'..str(us))
  redis.call('ZADD',DUE,'inf','')
  live(URLS,DAY) live(DUE,DAY)
  local some=redis.call('SCAN','0','MATCH',entries(),'COUNT',100)
  if some[1]=='0' and #some[2]==0 then redis.call('ZADD',URLS,0,'\0\1') end
  return str(us)
end
local function members(key,url,list)
  local all={url..'\n'..key}
  for _,tag in ipairs(list) do all[#all+1]='\0'..#tag..':'..tag..'\n'..key end
  return all
end
local function parts(member)
  local length,at=string.match(member,'^%z(%d+):()')
  local stop=length and at+length or string.find(member,'\n',1,true)
  return string.sub(member,stop+1),string.sub(member,at or 1,stop-1),length~=nil
end
local function index(key,url,list,ttl)
  for _,member in ipairs(members(key,url,list)) do
    redis.call('ZADD',URLS,0,member)
    redis.call('ZADD',DUE,str(ms+ttl),member)
  end
end
local function forget(member)
  redis.call('ZREM',URLS,member)
  redis.call('ZREM',DUE,member)
end
local function unindex(key,url,list)
  for _,member in ipairs(members(key,url,list)) do forget(member) end
end
local function holds(value,isTag,url,list)
  if not isTag then return value==url end
  for _,tag in ipairs(url and list or {}) do
    if tag==value then return true end
  end
  return false
end
local function expire(o,n,ttl)
  local all=true
  for i=0,(tonumber(n) or 0)-1 do
    if redis.call('PEXPIRE',P..'b:'..o..':'..i,str(ttl))==0 then all=false end
  end
  return all
end
local function unlink(o,n) for i=0,(tonumber(n) or 0)-1 do redis.call('UNLINK',P..'b:'..o..':'..i) end end
local function drop(key)
  local e=P..'e:'..key
  local f=fields(e,'u','g','o','n','lo','ln')
  if not f[1] then redis.call('UNLINK',e) return end
  unindex(key,f[1],tags(f[2]))
  expire(f[3],f[4],LINGER)
  if f[5] then unlink(f[5],f[6]) end
  redis.call('UNLINK',e)
end
`

/**
 * Makes an entry visible, unless a purge since its mark matches it: P, key, id, ttl, mark, url, tags, h, d, b, o, n. Gives whether it
 * did, and the number of the last purge. Who reads the replaced body on has half a minute for it, or until this one is replaced.
 */
export const commit: Script = script(`${common}
local key,id,ttl,mark,url,o,n=ARGV[2],ARGV[3],tonumber(ARGV[4]),tonumber(ARGV[5]),ARGV[6],ARGV[11],ARGV[12]
-- Changes nothing, and fails where there is no room: the whole of it or nothing.
redis.call('ZADD',LOG,'XX',0,'')
local e,list,newest=P..'e:'..key,tags(ARGV[7]),last()
local function refused()
  if mark==newest then return false end
  if mark>newest or mark>0 and mark<floor() then return true end
  local mine={}
  for _,tag in ipairs(list) do mine[tag]=true end
  for _,member in ipairs(redis.call('ZRANGEBYSCORE',LOG,'('..str(mark),'+inf')) do
    local kind,value=string.match(member,'^%d+|%d|(%a)|[^|]*|(.*)$')
    if kind=='u' and value==url or kind=='t' and mine[value] then return true end
    if kind=='p' and string.sub(url,1,#value)==value then return true end
  end
  return false
end
if refused() or not expire(o,n,ttl+LINGER) then
  unlink(o,n)
  return {0,str(newest)}
end
born()
local old=fields(e,'u','g','o','n','lo','ln')
if old[1] then unindex(key,old[1],tags(old[2])) expire(old[3],old[4],LINGER) end
if old[5] then unlink(old[5],old[6]) end
redis.call('UNLINK',e)
redis.call('HSET',e,'i',id,'u',url,'g',ARGV[7],'o',o,'n',n,'m',str(mark),'h',ARGV[8],'d',ARGV[9])
if n=='0' then redis.call('HSET',e,'b',ARGV[10]) end
if tonumber(old[4] or 0)>0 then redis.call('HSET',e,'lo',old[3],'ln',old[4]) end
redis.call('PEXPIRE',e,str(ttl))
index(key,url,list,ttl)
live(URLS,ttl) live(DUE,ttl)
for _,member in ipairs(redis.call('ZRANGEBYSCORE',DUE,'-inf',str(ms),'LIMIT',0,8*(1+#list))) do
  local k,value,isTag=parts(member)
  local f,left=fields(P..'e:'..k,'u','g'),redis.call('PTTL',P..'e:'..k)
  if left>0 and holds(value,isTag,f[1],tags(f[2])) then redis.call('ZADD',DUE,str(ms+left),member)
  else forget(member) end
end
return {1,str(newest)}
`)

/**
 * Gives an entry another head if it is still the one of that id: P, key, id, ttl, heard, url, tags, h, purged. A soft purge after `heard`
 * stays, and 2 is the answer.
 */
export const touch: Script = script(`${common}
local key,ttl,heard=ARGV[2],tonumber(ARGV[4]),tonumber(ARGV[5])
local e=P..'e:'..key
keep()
local f=fields(e,'i','u','g','o','n','p')
if f[1]~=ARGV[3] then return 0 end
if not expire(f[4],f[5],ttl+LINGER) then drop(key) return 0 end
born()
unindex(key,f[2],tags(f[3]))
redis.call('HSET',e,'u',ARGV[6],'g',ARGV[7],'h',ARGV[8])
if ARGV[9]=='1' then if not f[6] then redis.call('HSET',e,'p','1') end
elseif f[6] and tonumber(f[6])<=heard then redis.call('HDEL',e,'p') end
redis.call('PEXPIRE',e,str(ttl))
index(key,ARGV[6],tags(ARGV[7]),ttl)
live(URLS,ttl) live(DUE,ttl)
return redis.call('HEXISTS',e,'p')==1 and ARGV[9]~='1' and 2 or 1
`)

/** Drops an entry: P, key. */
export const remove: Script = script(`${common}
drop(ARGV[2])
return 1
`)

/**
 * Notes a purge and tells all proxies: P, kind (u, t or p), value, soft, from. Gives its number and the one before, and of what
 * purges look through its birth, and 1 where it is whole. From then on nothing that it matches is committed with an older mark. A thousand
 * are remembered, for an hour.
 */
export const announce: Script = script(
  `${common}${String.raw`
local before=last()
local this=math.max(before+1,us)
local member=str(this)..'|'..ARGV[4]..'|'..ARGV[2]..'|'..ARGV[5]..'|'..ARGV[3]
redis.call('ZADD',LOG,str(this),member)
local over=redis.call('ZCARD',LOG)-1001
local top=over>0 and redis.call('ZRANGE',LOG,over,over)[1]
local aged=redis.call('ZREVRANGEBYSCORE',LOG,str(us-3600000000),'-inf','LIMIT',0,1)[1]
local cut=math.max(top and number(top) or 0,aged and number(aged) or 0)
if cut>0 and cut<this then
  redis.call('ZREMRANGEBYSCORE',LOG,'-inf',str(cut))
  redis.call('ZADD',LOG,str(cut),str(cut)..'|0|f||')
end
redis.call('PUBLISH',P..'say','p'..str(before)..'|'..member)
return {str(this),str(before),born(),redis.call('ZSCORE',URLS,'\0\1') and 1 or 0}
`}`,
)

const lost = `if born()~=ARGV[2] then return redis.error_reply('ERR what purges look through was lost meanwhile') end`

/**
 * Looks through a part of all keys for entries that purges would miss: P, birth, cursor. Gives the cursor to go on with, '' at the end:
 * the same one where what is there has too many tags for one go.
 */
export const gather: Script = script(
  `${common}${String.raw`
keep()
${lost}
local from=ARGV[3]=='' and '0' or ARGV[3]
local found,longest,done=redis.call('SCAN',from,'MATCH',entries(),'COUNT',500),0,0
local go=found[1]=='0' and '' or found[1]
for _,e in ipairs(found[2]) do
  if done>=ENOUGH then go=from break end
  -- Not fields(), which drops what is no entry: who else begins keys like that isn't known.
  local url,ttl=redis.pcall('HGET',e,'u'),redis.call('PTTL',e)
  local key=string.sub(e,#P+3)
  if type(url)=='string' and ttl>0 and not redis.call('ZSCORE',DUE,url..'\n'..key) then
    local list=tags(redis.call('HGET',e,'g'))
    index(key,url,list,ttl)
    longest,done=math.max(longest,ttl),done+1+#list
  end
end
live(URLS,longest) live(DUE,longest)
if go=='' then redis.call('ZADD',URLS,0,'\0\1') end
return go
`}`,
)

/**
 * Drops or marks up to 200 entries that a purge matches, fewer where they have many tags, but none that was asked for after it: P, birth,
 * kind, value, soft, number, cursor. Gives how many, and the cursor to go on with, '' at the end. So a purge of many never holds Redis up for long.
 */
export const sweep: Script = script(
  `${common}${String.raw`
local kind,value,soft,this,cursor=ARGV[3],ARGV[4],ARGV[5]=='1',tonumber(ARGV[6]),ARGV[7]
local count,done=0,0
keep()
${lost}
-- Behind '\1' stand the URLs, before it everything else.
if kind~='t' and string.sub(value,1,1)=='\0' then return {0,''} end
local from=kind=='t' and '\0'..#value..':'..value or value
local to=from..(kind=='p' and '\255' or '\11')
if kind~='p' then from=from..'\n' elseif value=='' then from='\1' end
local found=redis.call('ZRANGEBYLEX',URLS,cursor=='' and '['..from or '('..cursor,'('..to,'LIMIT',0,200)
for i,member in ipairs(found) do
  local key,mine,isTag=parts(member)
  local e=P..'e:'..key
  local f=fields(e,'m','p','u','g')
  local list=tags(f[4])
  if not holds(mine,isTag,f[3],list) then forget(member)
  elseif tonumber(f[1])<this then
    if not soft then drop(key) count=count+1
    elseif f[2]~=ARGV[6] then redis.call('HSET',e,'p',ARGV[6]) count=count+1 end
  end
  done=done+1+#list
  if done>=ENOUGH or i==200 then return {count,member} end
end
return {count,''}
`}`,
)

/** The purges after a number: P, number, '' for none of them. Gives the floor, the last number, and them. */
export const look: Script = script(`${common}
local newest=last()
return {str(floor()),str(newest),ARGV[2]=='' and {} or redis.call('ZRANGEBYSCORE',LOG,'('..ARGV[2],'+inf')}
`)

/** Lets parts of a body that is still being written live longer: P, o, n, ttl. */
export const extend: Script = script(`${common}
expire(ARGV[2],ARGV[3],tonumber(ARGV[4]))
return 1
`)

/** Takes a lease, if nobody has it: P, key, token, ms. Gives the token of who has it by now. */
export const acquire: Script = script(`
local k=ARGV[1]..'l:'..ARGV[2]
local held=redis.call('GET',k)
if held then return held end
redis.call('SET',k,ARGV[3],'PX',ARGV[4])
return ARGV[3]
`)

/** Ends a lease, if it is still the one of that token, and tells who waits for it: P, key, token. */
export const release: Script = script(`${common}
if redis.call('GET',P..'l:'..ARGV[2])~=ARGV[3] then return 0 end
redis.call('DEL',P..'l:'..ARGV[2])
redis.call('PUBLISH',P..'say','r'..ARGV[3]..'|'..ARGV[2])
return 1
`)
