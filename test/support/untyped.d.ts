declare module 'compression'
declare module 'on-headers'
