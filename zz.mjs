import Fastify from 'fastify'
import websocket from '/work/main/dist/index.js'
import { Quota } from '/work/main/dist/lib/quota.js'
import { attachToServers } from '/work/main/dist/lib/upgrade.js'
import net from 'node:net'
process.on('uncaughtException', e=>console.log('UNCAUGHT', e)); process.on('unhandledRejection', e=>console.log('UNHANDLED', e))
const quotas=new Set(); const en=Quota.prototype.enter; Quota.prototype.enter=function(){quotas.add(this);return en.call(this)}
const R=n=>Math.floor(Math.random()*n); const sleep=ms=>new Promise(r=>setTimeout(r,ms))
const reasons={}; const app=Fastify({logger:{stream:{write(l){const j=JSON.parse(l); if(j.msg==='WebSocket handshake refused'&&j.statusCode===500) reasons[j.reason]=(reasons[j.reason]??0)+1; if(j.level>=50&&!reasons['E'+j.msg]) {reasons['E'+j.msg]=1; console.log(j.msg, j.err?.stack)}}}}}); await app.register(websocket,{maxConnections:100,maxConnectionsPerKey:80,maxPendingHandshakes:40,handshakeTimeout:3000,heartbeat:300, closeTimeout:300})
const L={maxConnections:50,maxConnectionsPerKey:30,keyGenerator:async(r)=>{await sleep(R(5));return 'k'+R(3)}}
app.get('/plain',async()=>{await sleep(R(20));return 'x'}); app.post('/plain',async(r)=>r.body)
app.websocketRoute('/echo',{onMessage(c,m){c.sendMessage(m)}})
app.websocketRoute('/slow',{...L,async onHandshake(c){await sleep(R(30)); if(R(4)===0) return c.reject({code:401}); if(R(6)===0) throw new Error('x')},async onConnection(c){await sleep(R(10)); if(R(5)===0) throw new Error('y'); if(R(5)===0) c.terminate(); if(R(5)===0) c.close(4000)},async onMessage(c,m){await sleep(R(5)); c.sendMessage(m)}, onClose:async()=>{await sleep(R(20))}})
app.websocketRoute('/origin',{origin:async()=>{await sleep(R(10)); return R(2)===0},onConnection(){}})
app.websocketRoute('/hook',{preHandler:async(q,r)=>{await sleep(R(10)); if(R(3)===0) return r.code(409).send('no'); if(R(6)===0) q.raw.socket.destroy()},onSend:async()=>{await sleep(R(5))},onConnection(){}})
app.websocketRoute('/deflate',{perMessageDeflate:true,onMessage(c,m){c.sendMessage(m)}})
await app.listen({port:0,host:'127.0.0.1'}); const port=app.server.address().port
const hs=(p,x='')=>`GET ${p} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: ${R(20)===0?12:13}\r\nOrigin: http://a\r\n${x}\r\n`
const frame=()=>{const p=Buffer.alloc(R(100),97);const m=Buffer.from([1,2,3,4]);return Buffer.concat([Buffer.from([0x81,0x80|p.length]),m,Buffer.from(p.map((b,i)=>b^m[i%4]))])}
const pres=['','','','GET /plain HTTP/1.1\r\nHost: a\r\n\r\n','GET /none HTTP/1.1\r\nHost: a\r\n\r\n','POST /plain HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}','GET /plain HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n']
const paths=['/echo','/slow','/origin','/hook','/deflate','/none']
async function one(){ const s=net.connect({port,host:'127.0.0.1',allowHalfOpen:R(2)===0}); s.on('error',()=>{}); const closed=new Promise(r=>s.on('close',r)); if(R(10)>0) s.on('data',()=>{}); else s.pause(); s.on('end',()=>s.end())
 s.write(pres[R(pres.length)]+hs(paths[R(paths.length)],R(2)?'Sec-WebSocket-Extensions: permessage-deflate\r\n':'')); if(R(3)===0) s.write(frame()); 
 if(R(2)) await sleep(R(40)); if(R(2)) { s.write(frame()); s.write(frame()) } if(R(2)) await sleep(R(40)); if(R(4)===0) s.write(Buffer.from([0x88,0x82,1,2,3,4,2,0xea])); if (R(10)===0) s.write('garbage'); if(R(2)) await sleep(R(30))
 const k=R(4); if(k===0) s.destroy(); else if(k===1) s.resetAndDestroy(); else if(k===2) s.end(); else await Promise.race([closed,sleep(R(1200))]); await Promise.race([closed,sleep(1500)]); s.destroy() }
let n=0; const total=+process.argv[2]||4000
await Promise.all(Array.from({length:150},async()=>{while(n<total){n++;await one()}}))
const t=Date.now(); const {pending,open,ending}=attachToServers(app,[])
while((app.websockets.size||app.websockets.stats.pending||pending.size||ending.size) && Date.now()-t<8000) await sleep(20)
console.log('settled after',Date.now()-t,'ms', {size:app.websockets.size,pending:pending.size,ending:ending.size}, [...quotas].map(q=>JSON.stringify(q.counts)).join(' '))
const st=app.websockets.stats; console.log(JSON.stringify(st), 'closed sum', Object.values(st.closed).reduce((a,b)=>a+b,0),'accepted',st.accepted)
console.log(await new Promise(r=>app.server.getConnections((e,c)=>r('connections left '+c))))
console.log(reasons);console.time('close'); await app.close(); console.timeEnd('close')
